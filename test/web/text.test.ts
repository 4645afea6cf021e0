import { expect, test } from '@jest/globals';
import type { Message } from '../../web/i18n/languages.ts';
import { chooseLanguage, createTranslate } from '../../web/i18n/text.ts';
import { messages } from '../../web/messages.ts';

test('a text names the same values in every language', () => {
  const namesIn = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
  for (const [key, { en, de }] of Object.entries<Message>(messages)) {
    const forms = [en, de].flatMap((text) => (typeof text === 'string' ? [text] : [text.other]));
    const [first = '', ...others] = forms;
    for (const form of others) expect({ key, names: namesIn(form) }).toEqual({ key, names: namesIn(first) });
    for (const form of forms) expect({ key, text: form.trim() }).toEqual({ key, text: form });
  }
});

test('the language is the chosen one, else the first of the browser’s that there is, with its region', () => {
  expect(chooseLanguage(['fr-FR', 'de-AT', 'en-US'], undefined)).toEqual({ language: 'de', locale: 'de-AT' });
  expect(chooseLanguage(['de-AT', 'en-GB'], 'en')).toEqual({ language: 'en', locale: 'en-GB' });
  expect(chooseLanguage(['fr'], undefined)).toEqual({ language: 'en', locale: 'en' });
});

test('a value is written into the text, and text in a value stays text', () => {
  const t = createTranslate('en', 'en');
  expect(t('usage.run', { runId: '{runId} <b>' })).toBe('Run {runId} <b>');
});
