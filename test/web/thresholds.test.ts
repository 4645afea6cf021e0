import { expect, test } from '@jest/globals';
import { parseCredits, parseThreshold } from '../../web/billing/thresholds.ts';

test.each([
  ['500', 'en', '500'],
  ['1,234.5', 'en', '1234.5'],
  ['1.234,5', 'de', '1234.5'],
  [' 12 000,5 ', 'fr', '12000.5'],
  ['007', 'en', '7'],
  ['0', 'en', '0'],
])('"%s" credits are read by the rules of %s', (text, locale, credits) => {
  expect(parseCredits(text, locale)).toBe(credits);
});

test.each(['', '-5', '1e3', '1.2345678', '1234567890123', 'abc', '1.5.5', '∞'])(
  '"%s" is no amount of credits',
  (text) => {
    expect(parseCredits(text, 'en')).toBeUndefined();
  },
);

test('an alert is a share of 1% to 99%, or credits above zero', () => {
  expect(parseThreshold('20 %', 'en')).toBe('20%');
  expect(parseThreshold('1,000', 'en')).toBe('1000');
  for (const text of ['0%', '100%', '0', '0.0', '5.5%', ''])
    expect(parseThreshold(text, 'en')).toBeUndefined();
});
