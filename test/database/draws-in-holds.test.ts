import { randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { connectDatabase } from '../../database/connection.ts';
import { migrateDatabase } from '../../database/migrate-database.ts';
import { withClient } from '../../dev/postgres.ts';
import { createTestDatabase } from '../setup/database.ts';

test('holds made before their draws stood with them keep their draws, and nobody rewrites these', async () => {
  const database = await createTestDatabase();
  try {
    await withClient(database.url, (client) =>
      client.query('drop schema public cascade; create schema public'),
    );
    const old = await connectDatabase(database.url, { pool: 1 });
    await old.orm.migrator.up({ to: '0002-reconciliations' });
    await old.close();

    const [team, one, two] = [randomUUID(), randomUUID(), randomUUID()];
    const grants = [randomUUID(), randomUUID()].sort();
    await withClient(database.url, async (client) => {
      await client.query(`insert into teams (id, name, personal) values ($1, 'old', false)`, [team]);
      await client.query(
        `insert into holds (id, team_id, action, credits, price_version, status, expires_at, latest_expiry, created_at)
         select id, $2, 'workflow.run', 5, 1, 'open', now(), now(), now() from unnest($1::uuid[]) as id`,
        [[one, two], team],
      );
      await client.query(
        `insert into hold_draws (hold_id, grant_id, credits) values ($1, $3, 2), ($1, $4, 3), ($2, $4, 5)`,
        [one, two, ...grants],
      );
    });

    await migrateDatabase(database.url);
    await withClient(database.url, async (client) => {
      const { rows } = await client.query(
        'select id, draw_grants::text[] as grants, draw_credits::text[] as credits from holds',
      );
      expect(Object.fromEntries(rows.map(({ id, ...draws }) => [id, draws]))).toEqual({
        [one]: { grants, credits: ['2', '3'] },
        [two]: { grants: grants.slice(1), credits: ['5'] },
      });
      await client.query(`update holds set status = 'released'`);
      await expect(client.query('update holds set draw_credits = draw_credits')).rejects.toThrow('immutable');
    });
  } finally {
    await database.drop();
  }
});
