import { access } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { withClient } from '../../dev/postgres.ts';
import { createTestDatabase } from '../setup/database.ts';
import { temporalCli, temporalTestServer } from '../setup/temporal.ts';

test('every test file gets its own database, on Postgres 18, in UTC', async () => {
  const [one, other] = [await createTestDatabase(), await createTestDatabase()];
  expect(one.url).not.toBe(other.url);
  await withClient(one.url, async (client) => {
    const { rows } = await client.query(
      "select current_setting('server_version_num')::int / 10000 as major, current_setting('timezone') as zone, current_setting('synchronous_commit') as durable",
    );
    expect(rows).toEqual([{ major: 18, zone: 'UTC', durable: 'on' }]);
  });
  await one.drop();
  await other.drop();
  await expect(withClient(one.url, (client) => client.query('select 1'))).rejects.toThrow('does not exist');
});

test('both Temporal programs exist', async () => {
  await access(temporalCli());
  await access(temporalTestServer());
});
