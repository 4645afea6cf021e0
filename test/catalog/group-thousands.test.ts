import { expect, test } from '@jest/globals';
import { groupThousands } from '../../catalog/group-thousands.ts';

test.each([
  ['0', '0'],
  ['999', '999'],
  ['1000', '1,000'],
  ['1499.602559', '1,499.602559'],
  ['1234567.5', '1,234,567.5'],
  ['-123', '-123'],
  ['-1234.000001', '-1,234.000001'],
])('%s is shown as %s', (decimal, shown) => {
  expect(groupThousands(decimal)).toBe(shown);
});
