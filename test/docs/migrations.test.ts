import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { withClient } from '../../dev/postgres.ts';
import { createTestDatabase } from '../setup/database.ts';

test('every migration file is run', async () => {
  const files = readdirSync(join(import.meta.dirname, '../../database/migrations'));
  const database = await createTestDatabase();
  try {
    await withClient(database.url, async (client) => {
      const { rows } = await client.query<{ name: string }>('select name from mikro_orm_migrations');
      expect(rows.map(({ name }) => `${name}.ts`).sort()).toEqual(files.sort());
    });
  } finally {
    await database.drop();
  }
});
