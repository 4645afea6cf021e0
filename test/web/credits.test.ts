import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatCredits, isZero, sumCredits, toDecimal, toMicroCredits } from '../../web/format/credits.ts';

test.each([
  ['0', 'en', '0'],
  ['0.000001', 'en', '0.000001'],
  ['1234567.5', 'en', '1,234,567.5'],
  ['1234567.5', 'de', '1.234.567,5'],
  ['-12.25', 'en', '-12.25'],
  ['123456789012.123456', 'en', '123,456,789,012.123456'],
])('%s credits are written with every digit (%s)', (decimal, locale, text) => {
  expect(formatCredits(decimal, locale)).toBe(text);
});

test('credits with fewer digits are cut, so that a balance never looks larger than it is', () => {
  expect(formatCredits('999.999999', 'en', { digits: 2 })).toBe('999.99');
  expect(formatCredits('-0.999', 'en', { digits: 2 })).toBe('-0.99');
});

test('an amount that would be cut to nothing keeps its digits', () => {
  expect(formatCredits('0.009999', 'en', { digits: 2 })).toBe('0.009999');
  expect(formatCredits('-0.000001', 'en', { digits: 2, signed: true })).toBe('-0.000001');
  expect(formatCredits('0.01', 'en', { digits: 2 })).toBe('0.01');
  expect(formatCredits('0', 'en', { digits: 2 })).toBe('0');
});

test('a change of credits has a sign, and nothing has none', () => {
  expect(formatCredits('500', 'en', { signed: true })).toBe('+500');
  expect(formatCredits('-3.5', 'en', { signed: true })).toBe('-3.5');
  expect(formatCredits('0', 'en', { signed: true })).toBe('0');
});

test('credits keep every digit when they are added', () => {
  expect(sumCredits(['0.1', '0.2'])).toBe('0.3');
  expect(sumCredits(['999999999999.999999', '0.000001'])).toBe('1000000000000');
  expect(isZero(sumCredits(['1.5', '-1.5']))).toBe(true);
});

test('every amount is the same after it is read and written', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }), (micro) => {
      expect(toMicroCredits(toDecimal(micro))).toBe(micro);
    }),
  );
});

test.each(['', '1e3', '1,5', 'NaN', '1.2345678', ' 1'])('"%s" is not an amount of credits', (text) => {
  expect(() => toMicroCredits(text)).toThrow(RangeError);
});
