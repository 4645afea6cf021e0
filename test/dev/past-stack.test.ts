import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { z } from 'zod';
import { openPastStack } from '../../dev/demo/seed/past-stack.ts';
import { withClient } from '../../dev/postgres.ts';
import { createPolarClient } from '../../polar/client.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const start = new Date('2026-01-01T12:00:00.000Z');
/** Opens the database of the test as that of a stack with this folder. Polar has no events. */
function open(dataDir: string) {
  const polar = createPolarClient({ accessToken: 'polar_oat_tests', server: 'http://127.0.0.1:1' });
  const press = async <T>(_path: string, answer: z.ZodType<T>) => answer.parse({ events: [] });
  const urls = { databaseUrl: database.applicationUrl, ownerUrl: database.url };
  return openPastStack({ dataDir, polar, press }, { ...urls, start });
}

/** The first column of the first row, on a connection that sets its clock to `start`. */
const read = (sql: string) =>
  withClient(database.applicationUrl, async (client) => {
    await client.query(`set demo.now = '${start.toISOString()}'`);
    const { rows } = await client.query<[unknown]>({ text: sql, rowMode: 'array' });
    return rows[0]?.[0];
  });
const isInThePast = () => read(`select billing_now() < '2026-02-01'`);

test('the seed sets the clock only in the database of its own stack, and leaves it as it was', async () => {
  await expect(open('/another')).rejects.toThrow('unset DATABASE_URL');
  expect(await isInThePast()).toBe(false);

  const folder = await withClient(database.url, (client) => client.query('show data_directory'));
  const past = await open(dirname(folder.rows[0].data_directory));
  expect(await isInThePast()).toBe(true);
  await past.close();
  expect(await isInThePast()).toBe(false);
});
