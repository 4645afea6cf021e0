import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findProduct } from '../../catalog/schema.ts';
import { readCatalog } from '../../catalog/versions.ts';
import { InboxEvent } from '../../database/entities/inbox-event.ts';
import { PolarProduct } from '../../database/entities/polar-product.ts';
import { planProductSync, syncProducts } from '../../polar/sync-products.ts';
import { type PolarScene, startScene } from './setup.ts';

let scene: PolarScene;
beforeAll(async () => {
  scene = await startScene();
});
afterAll(() => scene.end());

const run = (apply: boolean) => syncProducts(scene.polar, scene.database, { apply });
const productsAtPolar = async () => (await scene.polar.products.list({ limit: 100 })).items;
const kinds = (steps: { kind: string }[]) => steps.map(({ kind }) => kind);

test('without --apply nothing is changed, neither at Polar nor here', async () => {
  const { steps } = await run(false);
  expect(kinds(steps)).toEqual(Array(6).fill('create'));
  expect(await productsAtPolar()).toHaveLength(0);
  expect(await scene.database.fork().count(PolarProduct)).toBe(0);
});

test('two concurrent runs create every product once, and events parked for a product are due', async () => {
  const em = scene.database.fork();
  const parkedUntil = new Date('2100-01-01');
  await em.insert(InboxEvent, {
    id: '019a52c0-7e1b-7d6c-9b1f-0a6f1c2d3e4f',
    teamId: null,
    source: 'polar',
    type: 'order.paid',
    externalId: 'msg_1',
    payload: {},
    occurredAt: new Date(),
    receivedAt: new Date(),
    status: 'parked',
    parkedCode: 'unknown_product',
    outcome: 'Not one of our products.',
    attempts: 3,
    signals: 3,
    handledAt: null,
    nextSignalAt: parkedUntil,
  });
  await Promise.all([run(true), run(true)]);
  const products = await productsAtPolar();
  expect(products.map(({ metadata }) => metadata.catalog_key).sort()).toEqual([
    'pack_1000',
    'pack_20000',
    'pack_5000',
    'pro_monthly',
    'pro_yearly',
    'starter_monthly',
  ]);
  expect(await em.count(PolarProduct)).toBe(6);
  const [event] = await scene.database.fork().findAll(InboxEvent);
  expect(event?.nextSignalAt?.getTime()).toBeLessThan(parkedUntil.getTime());
});

test('a second run changes nothing, and a new database gets Polar’s products', async () => {
  await scene.database.fork().nativeDelete(PolarProduct, {});
  const { steps } = await run(true);
  expect(kinds(steps)).toEqual(Array(6).fill('keep'));
  expect(await productsAtPolar()).toHaveLength(6);
  expect(await scene.database.fork().count(PolarProduct)).toBe(6);
});

test('a name, price or archiving that someone changed at Polar is corrected', async () => {
  const products = await productsAtPolar();
  const of = (key: string) => products.find(({ metadata }) => metadata.catalog_key === key)?.id ?? '';
  await scene.polar.products.update(of('pack_1000'), { name: 'Thousand' });
  await scene.polar.products.update(of('pack_5000'), {
    prices: [{ amount_type: 'fixed', price_amount: 60 }],
  });
  await scene.polar.products.update(of('pro_yearly'), { is_archived: true });
  const { steps } = await run(true);
  expect(steps.flatMap((step) => (step.kind === 'update' ? step.differences : []))).toEqual([
    'archived → sold again',
    'name: Thousand → 1,000 credits',
    'price: 0.60 USD → 55.00 USD, for new subscriptions and orders',
  ]);
  expect(kinds((await run(false)).steps)).toEqual(Array(6).fill('keep'));
});

test('a product whose answer was lost is not created twice', async () => {
  const [first] = (await productsAtPolar()).filter(({ metadata }) => metadata.catalog_key === 'pack_1000');
  await scene.polar.products.update(first?.id ?? '', {
    is_archived: true,
    metadata: { catalog_key: 'retired' },
  });
  await scene.act('/faults', { target: 'api', path: '/v1/products', method: 'POST', after_effect: 'drop' });
  await run(true);
  const made = (await productsAtPolar()).filter(({ metadata }) => metadata.catalog_key === 'pack_1000');
  expect(made).toHaveLength(1);
});

test('an archived key is archived at Polar; another interval is another product', async () => {
  const { catalog } = await readCatalog(scene.database);
  const products = await productsAtPolar();
  const changed = structuredClone(catalog);
  const pack = findProduct(changed, 'pack_5000');
  const plan = findProduct(changed, 'starter_monthly');
  if (pack?.kind !== 'pack' || plan?.kind !== 'plan') throw new Error('the default catalog has both');
  pack.pack.archived = true;
  plan.plan.interval = 'year';
  const { steps } = planProductSync(changed, products);
  expect(steps.filter(({ key }) => key === 'pack_5000')).toMatchObject([{ kind: 'archive' }]);
  // The replacement comes last, because the product that is stored last is sold.
  expect(kinds(steps.filter(({ key }) => key === 'starter_monthly'))).toEqual(['archive', 'create']);
});

test('settings and products that do not fit the policies are reported', async () => {
  const stray = { name: 'Stray', prices: [{ amount_type: 'fixed' as const, price_amount: 100 }] };
  await scene.polar.products.create({ ...stray, recurring_interval: null });
  const { warnings } = await run(false);
  expect(warnings).toEqual(
    expect.arrayContaining([
      expect.stringContaining('"Stray"'),
      expect.stringContaining('proration_behavior is "prorate", expected "invoice"'),
      expect.stringContaining('update_plan'),
    ]),
  );
});

test('npm run polar:sync prints its steps, or one clear line if it cannot run', async () => {
  const command = (variables: Record<string, string>, ...args: string[]) =>
    promisify(execFile)(process.execPath, ['polar/sync-command.ts', ...args], {
      env: { PATH: process.env.PATH, ...variables },
    }).then(
      ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
  const variables = {
    DATABASE_URL: scene.database.orm.config.get('clientUrl') ?? '',
    POLAR_ACCESS_TOKEN: 'polar_oat_test',
    POLAR_SERVER: scene.emulator.url,
    POLAR_WEBHOOK_SECRET: 'whsec_bm90LXVzZWQtaGVyZQ==',
  };
  expect(await command(variables)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Nothing to change.'),
  });
  const refused = await command({ ...variables, POLAR_ACCESS_TOKEN: 'wrong' });
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr.trim()).toBe('Polar refuses our access token: check POLAR_ACCESS_TOKEN');
  expect(await command(variables, '--aply')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--aply'),
  });
});
