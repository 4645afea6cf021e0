import { messages } from '../messages.ts';
import { type Language, languages, type Message } from './languages.ts';

export type MessageKey = keyof typeof messages;
type NamesIn<S> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;
type NamesOf<T> = T extends { one: infer One; other: infer Other }
  ? NamesIn<One> | NamesIn<Other> | 'count'
  : NamesIn<T>;
type Names<K extends MessageKey> = NamesOf<(typeof messages)[K][Language]>;
/** The values of a message: numbers are written by `Intl`, texts as they are. */
export type Values<K extends MessageKey> = [Names<K>] extends [never]
  ? []
  : [values: Record<Names<K>, string | number>];

/** Writes a message of `messages.ts`. */
export type Translate = <K extends MessageKey>(key: K, ...values: Values<K>) => string;

/** The texts of a language, with numbers and plurals of a locale. */
export function createTranslate(language: Language, locale: string): Translate {
  const plurals = new Intl.PluralRules(language);
  const numbers = new Intl.NumberFormat(locale);
  return (key, ...[values]) => {
    const message: Message = messages[key];
    const known: Record<string, string | number> = values ?? {};
    const text = message[language];
    const form =
      typeof text === 'string' ? text : plurals.select(Number(known.count)) === 'one' ? text.one : text.other;
    return form.replace(/\{(\w+)\}/g, (whole, name) => {
      const value = known[name];
      return typeof value === 'number' ? numbers.format(value) : (value ?? whole);
    });
  };
}

/** The language and the locale of a reader: their first language that we have, in their region. */
export function chooseLanguage(
  preferred: readonly string[],
  chosen: Language | undefined,
): { language: Language; locale: string } {
  const languageOf = (tag: string) => languages.find((one) => tag.split('-')[0]?.toLowerCase() === one);
  const language = chosen ?? preferred.map(languageOf).find((one) => one !== undefined) ?? 'en';
  return { language, locale: preferred.find((tag) => languageOf(tag) === language) ?? language };
}
