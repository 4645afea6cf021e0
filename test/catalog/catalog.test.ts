import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { checkCatalogSuccession } from '../../catalog/check-catalog-succession.ts';
import { catalogDocument, loadCatalog, parseCatalog } from '../../catalog/load-catalog.ts';
import { findProduct } from '../../catalog/schema.ts';
import { DomainError } from '../../domain-error.ts';

const text = readFileSync('catalog/catalog.yaml', 'utf8');
const catalog = loadCatalog('catalog/catalog.yaml');
const folder = mkdtempSync(join(tmpdir(), 'catalog-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the default catalog', () => {
  test('has the trial, plans and packs that outside programs know by key', () => {
    expect(catalog.trial).toEqual({ credits: 500_000_000n, lifetime: 30 * 86_400_000, perOwner: 3 });
    expect(catalog.plans.map(({ key }) => key)).toEqual(['starter_monthly', 'pro_monthly', 'pro_yearly']);
    expect(catalog.packs.map(({ key, credits }) => [key, credits])).toEqual([
      ['pack_1000', 1_000_000_000n],
      ['pack_5000', 5_000_000_000n],
      ['pack_20000', 20_000_000_000n],
    ]);
    expect(catalog.plans.map(({ interval, rhythm }) => [interval, rhythm])).toEqual([
      ['month', 'cycle'],
      ['month', 'cycle'],
      ['year', 'monthly'],
    ]);
  });

  test('prices at least eight language models by three meters, an image and an audio model, storage and runs', () => {
    const language = catalog.prices.filter(({ category }) => category === 'language');
    expect(language.length).toBeGreaterThanOrEqual(8);
    for (const { model, meters } of language) {
      expect(model).toBeDefined();
      expect(meters.map(({ meter }) => meter)).toEqual(['input_tokens', 'output_tokens', 'cached_tokens']);
    }
    const meters = catalog.prices.flatMap((price) => price.meters.map(({ meter }) => meter));
    expect(meters).toEqual(expect.arrayContaining(['images', 'seconds', 'gb_days', 'runs']));
  });

  test('has the policies of the design', () => {
    expect(catalog.policies).toMatchObject({
      renewalGrace: 3_600_000,
      lateAllotmentLife: 7 * 86_400_000,
      holdMaxLife: 86_400_000,
      idempotencyKeysKept: 90 * 86_400_000,
      upgradeProration: 'invoice',
      downgradeProration: 'next_period',
    });
  });

  test('finds a product by its key, with its kind', () => {
    expect(findProduct(catalog, 'pro_yearly')).toMatchObject({
      kind: 'plan',
      plan: { allotment: 72_000_000_000n },
    });
    expect(findProduct(catalog, 'pack_1000')).toMatchObject({
      kind: 'pack',
      pack: { credits: 1_000_000_000n },
    });
    for (const key of ['', 'nothing', 'constructor', '__proto__'])
      expect(findProduct(catalog, key)).toBeUndefined();
  });
});

describe('a stored version', () => {
  test('is plain JSON and reads back as the same catalog, even if Postgres has reordered its keys', () => {
    const stored = JSON.stringify(catalogDocument(catalog), null, 1);
    expect(parseCatalog(JSON.parse(stored))).toEqual(catalog);
    expect(parseCatalog(reversed(JSON.parse(stored)))).toEqual(catalog);
    expect(catalogDocument(parseCatalog(JSON.parse(stored)))).toEqual(JSON.parse(stored));
  });

  test('is the same document for every spelling of its numbers', () => {
    const rewritten = load(text.replace('"500"', '500').replace('"4.8"', '"04.800"').replace('24h', '1d'));
    expect(catalogDocument(rewritten)).toEqual(catalogDocument(catalog));
  });

  test('that is damaged is refused', () => {
    for (const json of [null, undefined, [], 'catalog', 7, {}]) {
      expect(problems(() => parseCatalog(json))[0]).toContain('catalog: ');
    }
  });
});

describe('a wrong catalog file', () => {
  test.each<[string, string, string, string]>([
    [
      'a fraction that is not quoted',
      'allotment: "6000"',
      'allotment: 6000.5',
      'plans[1].allotment: expected credits',
    ],
    [
      'a negative price',
      'credits: "4.8"',
      'credits: "-1"',
      'prices[8].meters[0].credits: expected credits above',
    ],
    [
      'a price of zero',
      'credits: "4.8"',
      'credits: "0.000000"',
      'prices[8].meters[0].credits: expected credits above',
    ],
    [
      'an overflowing price',
      'credits: "4.8"',
      'credits: "1000000.000001"',
      'prices[8].meters[0].credits: expected at most',
    ],
    [
      'a price that is not a number',
      'credits: "4.8"',
      'credits: .nan',
      'prices[8].meters[0].credits: expected credits',
    ],
    ['a price for 60 units', 'per: 100 }', 'per: 60 }', 'prices[9].meters[0].per: expected a power of ten'],
    ['a price for no units', 'per: 100 }', 'per: 0 }', 'prices[9].meters[0].per: expected a power of ten'],
    [
      'a meter twice',
      'meter: output_tokens',
      'meter: input_tokens',
      'prices[0].meters[1].meter: expected a unique key',
    ],
    [
      'an action twice',
      'action: web.page',
      'action: workflow.run',
      'prices[13].action: expected a unique key',
    ],
    [
      'a pack with the key of a plan',
      'key: pack_5000',
      'key: pro_monthly',
      'packs[1].key: expected a unique key',
    ],
    ['a key in capitals', 'key: pack_5000', 'key: PACK', 'packs[1].key: expected a key'],
    [
      'drips on a monthly plan',
      'allotment: "6000"',
      'allotment: "6000"\n    rhythm: monthly',
      'plans[1].rhythm: expected "cycle"',
    ],
    ['an interval that Polar has not', 'interval: year', 'interval: decade', 'plans[2].interval: '],
    ['a misspelt field', 'perOwner: 3', 'perOwner: 3\n  perTeam: 1', 'trial.perTeam: Unrecognized key'],
    ['a missing policy', '  renewalGrace: 1h\n', '', 'policies.renewalGrace: expected a duration'],
    [
      'a duration without a unit',
      'renewalGrace: 1h',
      'renewalGrace: 60',
      'policies.renewalGrace: expected a duration',
    ],
    [
      'a hold longer than the longest',
      'holdLife: 15m',
      'holdLife: 2d',
      'policies.holdLife: expected at most holdMaxLife',
    ],
    [
      'keys that are kept for longer than there are tables for usage',
      'idempotencyKeysKept: 90d',
      'idempotencyKeysKept: 121d',
      'policies.idempotencyKeysKept: expected at most "120d"',
    ],
    ['free money', 'cents: 1200', 'cents: 0', 'packs[0].price.cents: '],
    [
      'another currency',
      'currency: usd, cents: 1200',
      'currency: eur, cents: 1200',
      'packs[0].price.currency: ',
    ],
    ['a key twice in one map', 'perOwner: 3', 'perOwner: 3\n  perOwner: 4', 'Map keys must be unique'],
    ['an unknown tag', 'trial:', 'trial: !secret', 'Unresolved tag'],
    ['a hidden prototype', 'trial:', '__proto__: { trial: 1 }\ntrial:', 'Unrecognized key: "__proto__"'],
    ['bad indentation', '  perOwner: 3', ' perOwner: 3', 'catalog.yaml:'],
  ])('with %s is refused with file, line, path and expected value', (_, from, to, expected) => {
    expect(text).toContain(from);
    const found = problems(() => load(text.replace(from, to)));
    expect(found.join('\n')).toContain(expected);
    for (const problem of found) expect(problem).toMatch(/catalog\.yaml:\d+: /);
  });

  test('names the line of the wrong field', () => {
    const line = text.slice(0, text.indexOf('allotment: "6000"')).split('\n').length;
    expect(problems(() => load(text.replace('allotment: "6000"', 'allotment: many')))[0]).toContain(
      `catalog.yaml:${line}: plans[1].allotment`,
    );
  });

  test('reports every problem at once', () => {
    const broken = text
      .replace('perOwner: 3', 'perOwner: 0')
      .replace('renewalGrace: 1h', 'renewalGrace: soon');
    expect(problems(() => load(broken))).toHaveLength(2);
  });

  test('that is empty, missing, or expands without bound is refused', () => {
    expect(problems(() => load(''))[0]).toContain('document: ');
    expect(problems(() => loadCatalog(join(folder, 'missing.yaml')))[0]).toContain('cannot be read');
    const bomb = Array.from({ length: 12 }, (_, level) =>
      level === 0
        ? 'a0: &a0 [x, x]'
        : `a${level}: &a${level} [${`*a${level - 1}, `.repeat(9)}*a${level - 1}]`,
    ).join('\n');
    expect(problems(() => load(bomb))[0]).toContain('alias');
  });
});

describe('the next catalog', () => {
  const without = <T>(list: T[], index: number) => list.filter((_, at) => at !== index);
  const [starterPlan] = catalog.plans;
  const [pack] = catalog.packs;

  test('may change prices, add keys and archive them', () => {
    const next = load(
      text
        .replace('credits: "4.8"', 'credits: "5"')
        .replace('key: pack_1000\n', 'key: pack_1000\n    archived: true\n')
        .replace('action: web.page\n', 'action: web.page\n    archived: true\n'),
    );
    expect(() => checkCatalogSuccession(catalog, next)).not.toThrow();
    expect(() => checkCatalogSuccession(next, catalog)).not.toThrow();
  });

  test('may not remove a plan, a pack or an action', () => {
    const next = {
      ...catalog,
      plans: without(catalog.plans, 0),
      packs: without(catalog.packs, 1),
      prices: without(catalog.prices, 0),
    };
    expect(problems(() => checkCatalogSuccession(catalog, next))).toEqual([
      'plan starter_monthly was removed: set archived: true instead',
      'pack pack_5000 was removed: set archived: true instead',
      'action model.gpt-5 was removed: set archived: true instead',
    ]);
  });

  test('may not turn a plan into a pack', () => {
    if (!pack) throw new Error('the default catalog has a pack');
    const next = {
      ...catalog,
      plans: without(catalog.plans, 0),
      packs: [...catalog.packs, { ...pack, key: 'starter_monthly' }],
    };
    expect(problems(() => checkCatalogSuccession(catalog, next))).toEqual([
      'starter_monthly was a plan and is now a pack: use another key',
    ]);
  });

  test("may not change a plan's interval", () => {
    if (!starterPlan) throw new Error('the default catalog has a plan');
    const next = {
      ...catalog,
      plans: [{ ...starterPlan, interval: 'year' as const }, ...without(catalog.plans, 0)],
    };
    expect(problems(() => checkCatalogSuccession(catalog, next))).toEqual([
      'plan starter_monthly was billed by the month and is now by the year: use another key',
    ]);
  });
});

function load(yaml: string) {
  const file = join(folder, 'catalog.yaml');
  writeFileSync(file, yaml);
  return loadCatalog(file);
}

function problems(act: () => unknown): string[] {
  try {
    act();
  } catch (error) {
    if (error instanceof DomainError && Array.isArray(error.details.problems))
      return error.details.problems.map(String);
    throw error;
  }
  throw new Error('Nothing was refused');
}

/** The same JSON with the keys of every object in another order, as from `jsonb`. */
function reversed(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(reversed);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json)
      .reverse()
      .map(([key, value]) => [key, reversed(value)]),
  );
}
