import { expect, test } from '@jest/globals';
import { formatPercent, formatShare } from '../../web/format/percent.ts';

test('a percentage is written as the reader’s locale writes it', () => {
  expect(formatPercent(2, 'en-US')).toBe('2%');
  expect(formatPercent(2, 'de-DE')).toBe('2\u00a0%');
  expect(formatPercent(28.4, 'de-DE', { digits: 1, signed: true })).toBe('+28,4\u00a0%');
  expect(formatPercent(-50, 'en-US', { digits: 1, signed: true })).toBe('-50%');
  expect(formatPercent(0, 'en-US', { signed: true })).toBe('0%');
});

test.each([
  [0n, 200n, '0%'],
  [1n, 10n ** 18n, '<1%'],
  [1n, 200n, '1%'],
  [67n, 200n, '34%'],
  [200n, 200n, '100%'],
  [0n, 0n, ''],
])('the share of %s in %s is "%s"', (amount, total, text) => {
  expect(formatShare(amount, total, 'en-US')).toBe(text);
});
