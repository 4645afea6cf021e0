import { useState } from 'react';
import { Button, Header, Menu, MenuItem, MenuSection, MenuTrigger, Popover } from 'react-aria-components';
import { signOut } from '../data/sign-out.ts';
import { useLanguage } from '../i18n/language.tsx';
import { languages } from '../i18n/languages.ts';
import { menuItemClass, popoverClass } from '../ui/popover.ts';
import { chooseTheme, storedTheme, themes } from './theme.ts';

const languageNames = { en: 'English', de: 'Deutsch' } as const;

/** Language, light or dark, and sign-out, in one menu. */
export function Preferences() {
  const { t, language, setLanguage } = useLanguage();
  const [theme, setTheme] = useState(storedTheme);
  return (
    <MenuTrigger>
      <Button className="rounded-lg px-2.5 py-1.5 text-sm text-muted hover:bg-sunken hover:text-ink">
        {language.toUpperCase()} <span aria-hidden>◐</span>
        <span className="sr-only">{t('preferences.label')}</span>
      </Button>
      <Popover className={popoverClass} placement="bottom end">
        <Menu aria-label={t('preferences.label')} className="min-w-44 p-1 outline-none">
          <MenuSection
            selectionMode="single"
            disallowEmptySelection
            selectedKeys={[language]}
            onSelectionChange={(keys) => {
              const chosen = languages.find((one) => keys !== 'all' && keys.has(one));
              if (chosen) setLanguage(chosen);
            }}
          >
            <Header className={headerClass}>{t('preferences.language')}</Header>
            {languages.map((one) => (
              <MenuItem key={one} id={one} className={menuItemClass} textValue={languageNames[one]}>
                {({ isSelected }) => <Choice isSelected={isSelected} text={languageNames[one]} />}
              </MenuItem>
            ))}
          </MenuSection>
          <MenuSection
            selectionMode="single"
            disallowEmptySelection
            selectedKeys={[theme]}
            onSelectionChange={(keys) => {
              const chosen = themes.find((one) => keys !== 'all' && keys.has(one));
              if (!chosen) return;
              chooseTheme(chosen);
              setTheme(chosen);
            }}
          >
            <Header className={headerClass}>{t('preferences.theme')}</Header>
            {themes.map((one) => (
              <MenuItem key={one} id={one} className={menuItemClass} textValue={t(`theme.${one}`)}>
                {({ isSelected }) => <Choice isSelected={isSelected} text={t(`theme.${one}`)} />}
              </MenuItem>
            ))}
          </MenuSection>
          <MenuItem
            id="sign-out"
            className={`${menuItemClass} mt-1 border-t border-line`}
            onAction={() => void signOut()}
          >
            {t('preferences.signOut')}
          </MenuItem>
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}

function Choice({ isSelected, text }: { isSelected: boolean; text: string }) {
  return (
    <>
      <span className="flex-1">{text}</span>
      <span aria-hidden className="text-accent">
        {isSelected ? '✓' : ''}
      </span>
    </>
  );
}

const headerClass = 'px-3 pt-2 pb-1 text-xs font-medium text-muted';
