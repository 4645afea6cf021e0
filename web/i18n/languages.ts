export const languages = ['en', 'de'] as const;
export type Language = (typeof languages)[number];

/** A text with `{names}` of its values, or its plural forms, chosen by the value `count`. */
export type Text = string | { one: string; other: string };
/** One text in every language: a missing language is a type error. */
export type Message = Record<Language, Text>;
