import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DECIMAL_LIMIT, formatCredits, MICRO, parseDecimal } from '../../catalog/credits.ts';
import { loadCatalog } from '../../catalog/load-catalog.ts';
import { formatUnitPrice, priceUsage, receiptLine } from '../../catalog/price-usage.ts';
import type { Catalog } from '../../catalog/schema.ts';
import { DomainError } from '../../domain-error.ts';

const catalog = loadCatalog('catalog/catalog.yaml');
const quantities = (text: Record<string, string>) =>
  Object.fromEntries(Object.entries(text).map(([meter, quantity]) => [meter, parseDecimal(quantity)]));

test('a language model is priced by input, output and cached tokens, in the order of the catalog', () => {
  const used = quantities({ cached_tokens: '1000', output_tokens: '350', input_tokens: '1200' });
  const { credits, lines } = priceUsage(catalog, 'model.gpt-5', used);
  expect(lines.map(receiptLine)).toEqual([
    { meter: 'input_tokens', quantity: '1200', unitPrice: '0.00015', credits: '0.18' },
    { meter: 'output_tokens', quantity: '350', unitPrice: '0.0012', credits: '0.42' },
    { meter: 'cached_tokens', quantity: '1000', unitPrice: '0.000015', credits: '0.015' },
  ]);
  expect(formatCredits(credits)).toBe('0.615');
});

test.each<[string, Record<string, string>, string]>([
  ['model.flux-1.1-pro', { images: '3' }, '14.4'],
  ['model.whisper-large-v3', { seconds: '90.5' }, '0.6516'],
  ['storage.files', { gb_days: '0.000001' }, '0.000001'],
  ['storage.files', { gb_days: '12.345678' }, '1.234568'],
  ['workflow.run', { runs: '1' }, '0.5'],
])('%s of %p costs %p credits', (action, used, credits) => {
  expect(formatCredits(priceUsage(catalog, action, quantities(used)).credits)).toBe(credits);
});

test('each line is rounded up to the micro-credit, and the total is the sum of the lines', () => {
  const price = fc.record({
    credits: fc.bigInt({ min: 1n, max: 10n ** 12n }),
    per: fc.integer({ min: 0, max: 9 }).map((power) => 10n ** BigInt(power)),
    quantity: fc.bigInt({ min: 1n, max: 10n ** 11n }),
  });
  fc.assert(
    fc.property(fc.array(price, { minLength: 1, maxLength: 5 }), (prices) => {
      const meters = prices.map(({ credits, per }, index) => ({ meter: `m${index}`, credits, per }));
      const used = Object.fromEntries(prices.map(({ quantity }, index) => [`m${index}`, quantity]).reverse());
      const { credits, lines } = priceUsage(withMeters(meters), 'test.action', used);
      expect(lines.map((line) => line.meter)).toEqual(meters.map(({ meter }) => meter));
      for (const { quantity, unitPrice, credits } of lines) {
        const exact = quantity * unitPrice.credits;
        const unit = unitPrice.per * MICRO;
        expect(credits * unit).toBeGreaterThanOrEqual(exact);
        expect((credits - 1n) * unit).toBeLessThan(exact);
      }
      expect(credits).toBe(lines.reduce((sum, line) => sum + line.credits, 0n));
    }),
  );
});

test('even a very small unit price is exact', () => {
  expect(formatUnitPrice({ credits: 2_500_000n, per: 1_000_000n })).toBe('0.0000025');
  expect(formatUnitPrice({ credits: 1n, per: 10n ** 9n })).toBe('0.000000000000001');
  expect(formatUnitPrice({ credits: 10_000_000n, per: 1n })).toBe('10');
  expect(formatUnitPrice({ credits: 10_000_000n, per: 100n })).toBe('0.1');
});

test.each<[string, string, Record<string, bigint>, string]>([
  ['an unknown action', 'model.nobody', { runs: 1n }, 'unknown_action'],
  ["a name of JavaScript's own", 'constructor', { runs: 1n }, 'unknown_action'],
  ['an unknown meter', 'workflow.run', { runs: 1n, images: 1n }, 'unknown_meter'],
  ["a meter of JavaScript's own", 'workflow.run', { constructor: 1n }, 'unknown_meter'],
  ['no quantities', 'workflow.run', {}, 'invalid_quantity'],
  ['a negative quantity', 'workflow.run', { runs: -1n }, 'invalid_quantity'],
  ['a quantity of 10^12', 'workflow.run', { runs: DECIMAL_LIMIT }, 'quantity_too_large'],
  [
    'the largest safe integer',
    'workflow.run',
    { runs: parseDecimal(Number.MAX_SAFE_INTEGER) },
    'quantity_too_large',
  ],
])('%s is refused', (_, action, used, code) => {
  expect(refusal(() => priceUsage(catalog, action, used))).toMatchObject({ code });
});

test('the error for an unknown meter lists the known meters', () => {
  expect(refusal(() => priceUsage(catalog, 'workflow.run', { images: 1n, run: 1n }))?.details).toEqual({
    action: 'workflow.run',
    meters: ['images', 'run'],
    known: ['runs'],
  });
});

test('a total above the ledger’s maximum is refused, even if each quantity is below it', () => {
  const meters = [
    { meter: 'a', credits: MICRO, per: 1n },
    { meter: 'b', credits: MICRO, per: 1n },
  ];
  const half = DECIMAL_LIMIT / 2n;
  expect(priceUsage(withMeters(meters), 'test.action', { a: half, b: half - 1n }).credits).toBe(
    DECIMAL_LIMIT - 1n,
  );
  expect(refusal(() => priceUsage(withMeters(meters), 'test.action', { a: half, b: half }))?.code).toBe(
    'quantity_too_large',
  );
});

test('a quantity of zero is a line that costs nothing', () => {
  const { credits, lines } = priceUsage(catalog, 'model.gpt-5', {
    input_tokens: 1200n * MICRO,
    cached_tokens: 0n,
  });
  expect(lines.map(({ meter, credits }) => [meter, credits])).toEqual([
    ['input_tokens', 180_000n],
    ['cached_tokens', 0n],
  ]);
  expect(credits).toBe(180_000n);
});

test('an archived action is unknown', () => {
  const archived = { ...catalog, prices: catalog.prices.map((price) => ({ ...price, archived: true })) };
  expect(refusal(() => priceUsage(archived, 'workflow.run', { runs: MICRO }))?.code).toBe('unknown_action');
});

function withMeters(meters: Catalog['prices'][number]['meters']): Catalog {
  const price = {
    action: 'test.action',
    name: 'Test',
    category: 'platform' as const,
    meters,
    archived: false,
  };
  return { ...catalog, prices: [price] };
}

function refusal(act: () => unknown): DomainError | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  return undefined;
}
