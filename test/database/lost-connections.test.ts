import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connectDatabase } from '../../database/connection.ts';
import { openLink } from '../../dev/link.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';

let testDatabase: TestDatabase;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
});
afterAll(() => testDatabase.drop());

const pool = 3;

test.each(['cut', 'silence'] as const)(
  'transactions whose connections are lost (%s) give their places in the pool back',
  async (how) => {
    const url = new URL(testDatabase.url);
    const link = await openLink(Number(url.port));
    url.port = String(link.port);
    const database = await connectDatabase(url.href, { pool, statementTimeoutMs: 500 });
    try {
      for (let round = 0; round < 2; round++) {
        const begun: Promise<void>[] = [];
        const lost = Promise.withResolvers<void>();
        const running = Array.from({ length: pool }, () => {
          const began = Promise.withResolvers<void>();
          begun.push(began.promise);
          return database.transaction(async (em) => {
            await em.execute('select 1');
            began.resolve();
            await lost.promise;
            await em.execute('select 2');
          });
        });
        await Promise.all(begun);
        link[how]();
        lost.resolve();
        const results = await Promise.allSettled(running);
        expect(results.map(({ status }) => status)).toEqual(Array(pool).fill('rejected'));
        link.heal();
      }
      const answers = await Promise.all(
        Array.from({ length: 2 * pool }, () =>
          database.transaction((em) => em.execute<{ n: number }[]>('select 1 as n')),
        ),
      );
      expect(answers).toEqual(Array(2 * pool).fill([{ n: 1 }]));
    } finally {
      await database.close();
      await link.close();
    }
  },
  60_000,
);
