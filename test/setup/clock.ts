import { withClient } from '../../dev/postgres.ts';

/** The one clock of a test: Postgres' `billing_now()`, and code that takes `now`. It moves only when it is set. */
export interface SettableClock {
  now(): Date;
  set(at: Date): Promise<void>;
}

/** Replaces the clock of a test's database with one that can be set. */
export async function settableClock(databaseUrl: string, start: Date): Promise<SettableClock> {
  let now = start;
  await withClient(databaseUrl, async (client) => {
    await client.query('create table test_clock (at timestamptz(3) not null)');
    await client.query('insert into test_clock values ($1)', [start]);
    await client.query('grant select on test_clock to public');
    await client.query(
      `create or replace function billing_now() returns timestamptz(3) language sql volatile
         return (select at from test_clock)`,
    );
  });
  return {
    now: () => now,
    async set(at) {
      await withClient(databaseUrl, (client) => client.query('update test_clock set at = $1', [at]));
      now = at;
    },
  };
}
