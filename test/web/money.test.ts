import { expect, test } from '@jest/globals';
import { formatMoney } from '../../web/format/money.ts';

test.each([
  [4900, 'usd', 'en-US', '$49.00'],
  [5, 'usd', 'en-US', '$0.05'],
  [-1250, 'usd', 'en-US', '-$12.50'],
  [0, 'eur', 'en-US', '€0.00'],
  [1200, 'jpy', 'en-US', '¥1,200'],
  [123456789, 'eur', 'de-DE', '1.234.567,89\u00a0€'],
])('%s of the smallest unit of %s in %s are %s', (amount, currency, locale, text) => {
  expect(formatMoney(amount, currency, locale)).toBe(text);
});

test('money with a fraction of a cent is refused', () => {
  expect(() => formatMoney(0.5, 'usd', 'en')).toThrow(RangeError);
});
