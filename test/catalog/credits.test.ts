import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import {
  creditsOrZeroSchema,
  creditsSchema,
  DECIMAL_LIMIT,
  decimalOut,
  formatCredits,
  parseDecimal,
  parseSignedDecimal,
  quantitiesSchema,
  quantitySchema,
  signedCreditsSchema,
} from '../../catalog/credits.ts';

const amounts = fc.bigInt({ min: 0n, max: DECIMAL_LIMIT - 1n });

describe('a decimal', () => {
  test.each<[string | number, bigint]>([
    ['0', 0n],
    ['12.5', 12_500_000n],
    ['12.500000', 12_500_000n],
    ['0.000001', 1n],
    ['007', 7_000_000n],
    ['999999999999.999999', DECIMAL_LIMIT - 1n],
    [0, 0n],
    [100, 100_000_000n],
    [Number.MAX_SAFE_INTEGER, 9_007_199_254_740_991_000_000n],
  ])('%p is read exactly', (value, micro) => {
    expect(parseDecimal(value)).toBe(micro);
  });

  test('in any other form is refused', () => {
    const texts = [
      '',
      '.',
      '.5',
      '1.',
      '1.0000001',
      '1234567890123',
      '12345678901234567890',
      '-1',
      '+1',
      ' 1',
      '1 ',
      '1\n',
    ];
    const tricks = [
      '1e3',
      '1E3',
      '0x10',
      '1_000',
      '1,000',
      '1.2.3',
      '٣',
      '１',
      'NaN',
      'Infinity',
      '--1',
      '+-1',
      '\u0000',
    ];
    const numbers = [
      0.5,
      -1,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      2 ** 53,
      1e21,
      5e-324,
    ];
    for (const value of [...texts, ...tricks, ...numbers])
      expect(() => parseDecimal(value)).toThrow(RangeError);
  });

  test.each<[bigint, string]>([
    [0n, '0'],
    [12_500_000n, '12.5'],
    [-3_000_000n, '-3'],
    [1n, '0.000001'],
    [-1n, '-0.000001'],
    [100_000_000n, '100'],
    [10n ** 30n, '1000000000000000000000000'],
  ])('%p micro-credits are written as %p', (micro, text) => {
    expect(formatCredits(micro)).toBe(text);
    expect(decimalOut.parse(text)).toBe(text);
  });

  test('is read back as the same amount, with either sign', () => {
    fc.assert(
      fc.property(amounts, (micro) => {
        expect(parseDecimal(formatCredits(micro))).toBe(micro);
        expect(parseSignedDecimal(formatCredits(-micro))).toBe(-micro);
        expect(decimalOut.safeParse(formatCredits(-micro)).success).toBe(true);
      }),
    );
  });

  test('has one spelling', () => {
    const digits = (max: number) =>
      fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: max });
    fc.assert(
      fc.property(digits(12), digits(6), (whole, fraction) => {
        const written = formatCredits(parseDecimal(`${whole}.${fraction}`));
        expect(written).toBe(`${whole}.${fraction}`.replace(/\.?0+$/, '').replace(/^0+(?=\d)/, ''));
      }),
    );
    for (const text of ['1.0', '01', '-0', '1.', '.1', '+1', '1e3', '']) {
      expect(decimalOut.safeParse(text).success).toBe(false);
    }
  });
});

describe('in a request', () => {
  const hostile: unknown[] = [
    ...[-1, 0.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 2 ** 53, 1e21],
    ...[
      '-1',
      '-0',
      '1e3',
      ' 1',
      '1 ',
      '1\n',
      '',
      'NaN',
      '1.0000001',
      '12345678901234567890',
      '1'.repeat(1e6),
    ],
    ...[null, undefined, true, [], [1], {}, { toString: () => '1' }, 1n, new Date(0)],
  ];

  const zeros = [0, -0, '0', '0.000000', '000'];

  test('sold or given credits must be an exact number above zero', () => {
    for (const value of [...hostile, ...zeros]) {
      const result = creditsSchema.safeParse(value);
      expect([value, result.success]).toEqual([value, false]);
      expect(result.error?.issues[0]?.message).toContain('above zero: a safe integer or a decimal string');
    }
    expect(creditsSchema.parse(3)).toBe(3_000_000n);
  });

  test('a quantity must be zero or an exact number above it', () => {
    for (const schema of [quantitySchema, creditsOrZeroSchema]) {
      for (const value of zeros) expect([value, schema.parse(value)]).toEqual([value, 0n]);
      for (const value of hostile) {
        const result = schema.safeParse(value);
        expect([value, result.success]).toEqual([value, false]);
        expect(result.error?.issues[0]?.message).toContain('0 or more: a safe integer or a decimal string');
      }
    }
    expect(quantitySchema.parse('0.5')).toBe(500_000n);
  });

  test('an adjustment is an exact number other than zero', () => {
    expect(signedCreditsSchema.parse('+12.5')).toBe(12_500_000n);
    expect(signedCreditsSchema.parse('12.5')).toBe(12_500_000n);
    expect(signedCreditsSchema.parse('-0.000001')).toBe(-1n);
    expect(signedCreditsSchema.parse(-5)).toBe(-5_000_000n);
    for (const value of [
      0,
      -0,
      '0',
      '-0',
      '+0.0',
      '--1',
      '+-1',
      '- 1',
      -1.5,
      Number.NEGATIVE_INFINITY,
      -(2 ** 53),
      '-1234567890123',
    ]) {
      expect([value, signedCreditsSchema.safeParse(value).success]).toEqual([value, false]);
    }
  });

  test('credits are always below the ledger’s maximum, as text or as a number', () => {
    expect(creditsSchema.parse('999999999999.999999')).toBeLessThan(2n ** 63n);
    expect(creditsSchema.parse(999_999_999_999)).toBeLessThan(DECIMAL_LIMIT);
    expect(creditsSchema.safeParse(1_000_000_000_000).success).toBe(false);
    expect(signedCreditsSchema.safeParse(-1_000_000_000_000).success).toBe(false);
  });

  test('usage has at least one meter', () => {
    expect(quantitiesSchema.parse({ images: 2, seconds: '1.5' })).toEqual({
      images: 2_000_000n,
      seconds: 1_500_000n,
    });
    for (const value of [{}, [], null, 'images', { '': 1 }, { ['x'.repeat(65)]: 1 }]) {
      expect([value, quantitiesSchema.safeParse(value).success]).toEqual([value, false]);
    }
  });

  test('the JSON Schema has the same rules: exponents, and zero if it is refused, do not match the pattern', () => {
    for (const schema of [quantitySchema, creditsOrZeroSchema, creditsSchema, signedCreditsSchema]) {
      const takesZero = schema === quantitySchema || schema === creditsOrZeroSchema;
      const [text, integer] = z.toJSONSchema(schema, { io: 'input' }).anyOf ?? [];
      expect(text).toMatchObject({ type: 'string', pattern: expect.any(String) });
      expect(integer).toMatchObject({ type: 'integer', maximum: expect.any(Number) });
      const pattern = new RegExp(z.object({ pattern: z.string() }).parse(text).pattern);
      for (const good of ['1', '0.000001', '999999999999.999999']) expect(good).toMatch(pattern);
      for (const bad of ['1e3', '1.0000001', '1234567890123']) expect(bad).not.toMatch(pattern);
      for (const zero of ['0', '0.0']) expect([zero, pattern.test(zero)]).toEqual([zero, takesZero]);
    }
  });
});
