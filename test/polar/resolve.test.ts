import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PolarProduct } from '../../database/entities/polar-product.ts';
import { Team } from '../../database/entities/team.ts';
import { resolveProduct } from '../../polar/resolve-product.ts';
import { meansTeam, resolveTeam } from '../../polar/resolve-team.ts';
import { makeTeam, type PolarScene, startScene } from './setup.ts';

let scene: PolarScene;
let weavers = '';
let knitters = '';
beforeAll(async () => {
  scene = await startScene();
  weavers = await makeTeam(scene.database);
  knitters = await makeTeam(scene.database);
  const em = scene.database.fork();
  await em.nativeUpdate(Team, { id: weavers }, { polarCustomerId: 'customer-of-weavers' });
  await em.insert(PolarProduct, { polarProductId: 'p1', catalogKey: 'pack_1000', syncedAt: new Date() });
});
afterAll(() => scene.end());

const stranger = randomUUID();
const resolve = (metadata: string | null, external: string | null, customer: string | null = null) =>
  resolveTeam(scene.database.fork(), {
    metadataTeamId: metadata,
    customerExternalId: external,
    customerId: customer,
  });

test('a team is found by metadata, else by the external id, else by the customer that we created for it', async () => {
  expect(await resolve(weavers, null)).toEqual({ teamId: weavers });
  expect(await resolve(weavers.toUpperCase(), weavers)).toEqual({ teamId: weavers });
  expect(await resolve(null, weavers)).toEqual({ teamId: weavers });
  expect(await resolve(null, null, 'customer-of-weavers')).toEqual({ teamId: weavers });
  expect(await resolve(weavers, weavers, 'customer-of-weavers')).toEqual({ teamId: weavers });
});

test('an object whose ids all belong to one team resolves to that team', async () => {
  const em = scene.database.fork();
  const team = await em.findOneOrFail(Team, { id: weavers });
  for (const metadataTeamId of [null, weavers, weavers.toUpperCase(), knitters, stranger, 'not a uuid']) {
    for (const customerExternalId of [null, weavers, knitters, stranger]) {
      for (const customerId of [null, 'customer-of-weavers', 'a stranger']) {
        const ref = { metadataTeamId, customerExternalId, customerId };
        if (meansTeam(ref, team)) expect(await resolveTeam(em, ref)).toEqual({ teamId: weavers });
      }
    }
  }
  const plain = { metadataTeamId: weavers, customerExternalId: weavers, customerId: 'customer-of-weavers' };
  expect(meansTeam(plain, team)).toBe(true);
  expect(meansTeam({ ...plain, metadataTeamId: knitters }, team)).toBe(false);
  expect(meansTeam({ ...plain, customerId: 'a stranger' }, team)).toBe(false);
});

test('a deleted team is still a team', async () => {
  const gone = await makeTeam(scene.database);
  await scene.database.fork().nativeUpdate(Team, { id: gone }, { deletedAt: new Date() });
  expect(await resolve(gone, gone)).toEqual({ teamId: gone });
});

test('an object without one of our teams is unknown', async () => {
  expect(await resolve(null, null)).toEqual({ unknown: true });
  expect(await resolve(stranger, stranger)).toEqual({ unknown: true });
  expect(await resolve('not a uuid', null)).toEqual({ unknown: true });
  expect(await resolve("' or true --", null, 'no customer')).toEqual({ unknown: true });
});

test('an object with ids of different teams is doubtful', async () => {
  for (const [metadata, external, customer] of [
    [weavers, knitters, null],
    [weavers, stranger, null],
    [stranger, weavers, null],
    ['not a uuid', weavers, null],
    [knitters, knitters, 'customer-of-weavers'],
    [stranger, null, 'customer-of-weavers'],
  ] as const) {
    expect(await resolve(metadata, external, customer)).toEqual({ doubtful: expect.any(String) });
  }
});

test('a product is found by its stored id, else by its catalog key, if the catalog has it', async () => {
  const em = scene.database.fork();
  expect(await resolveProduct(em, { productId: 'p1', productCatalogKey: 'pack_5000' })).toBe('pack_1000');
  expect(await resolveProduct(em, { productId: 'p2', productCatalogKey: 'pack_5000' })).toBe('pack_5000');
  expect(await resolveProduct(em, { productId: 'p2', productCatalogKey: 'golden_yearly' })).toBeNull();
  expect(await resolveProduct(em, { productId: 'p2', productCatalogKey: null })).toBeNull();
  expect(await resolveProduct(em, { productId: null, productCatalogKey: null })).toBeNull();
});
