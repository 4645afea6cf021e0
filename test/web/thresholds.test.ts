import { expect, test } from '@jest/globals';
import { parseCredits, parseThreshold } from '../../web/billing/thresholds.ts';
import { formatPercent } from '../../web/format/percent.ts';

test.each([
  ['500', 'en', '500'],
  ['1,234.5', 'en', '1234.5'],
  ['1.234,5', 'de', '1234.5'],
  [' 12 000,5 ', 'fr', '12000.5'],
  ['12,34,567', 'en-IN', '1234567'],
  ['007', 'en', '7'],
  ['2.50', 'en', '2.5'],
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

test.each([
  ['1,5', 'en'],
  ['1.5', 'de'],
  ['1.234.5', 'de'],
  [',500', 'en'],
  ['1,234,56', 'en-IN'],
])('"%s" has a separator where %s has none, and is refused', (text, locale) => {
  expect(parseCredits(text, locale)).toBeUndefined();
});

test('an alert is a share of 1% to 99%, or credits above zero', () => {
  expect(parseThreshold('20 %', 'en')).toBe('20%');
  expect(parseThreshold(formatPercent(20, 'de'), 'de')).toBe('20%');
  expect(parseThreshold('1,000', 'en')).toBe('1000');
  for (const text of ['0%', '100%', '0', '0.0', '5.5%', ''])
    expect(parseThreshold(text, 'en')).toBeUndefined();
});
