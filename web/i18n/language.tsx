import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react';
import { readSetting, storeSetting } from '../layout/settings.ts';
import { type Language, languages } from './languages.ts';
import { chooseLanguage, createTranslate, type Translate } from './text.ts';

interface LanguageState {
  language: Language;
  /** For `Intl`: the language in the reader's region. */
  locale: string;
  t: Translate;
  setLanguage(language: Language): void;
}

const LanguageContext = createContext<LanguageState | undefined>(undefined);

/** The reader's language: the chosen one, otherwise the browser's. */
export function LanguageProvider({ children }: { children: ReactNode }) {
  const [chosen, setChosen] = useState(() => languages.find((one) => one === readSetting('language')));
  const { language, locale } = useMemo(() => chooseLanguage(navigator.languages, chosen), [chosen]);
  const setLanguage = useCallback((language: Language) => {
    storeSetting('language', language);
    setChosen(language);
  }, []);
  const t = useMemo(() => createTranslate(language, locale), [language, locale]);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const state = useMemo(() => ({ language, locale, t, setLanguage }), [language, locale, t, setLanguage]);
  return <LanguageContext value={state}>{children}</LanguageContext>;
}

/** The reader's language, its locale and the texts. */
export function useLanguage(): LanguageState {
  const state = useContext(LanguageContext);
  if (!state) throw new Error('useLanguage must be used inside LanguageProvider');
  return state;
}

/** The browser's time zone, such as Europe/Berlin. */
export function readersTimezone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}
