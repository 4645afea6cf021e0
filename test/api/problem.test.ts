import { expect, test } from '@jest/globals';
import { toProblem } from '../../api/problem.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const { database } = useTestDatabase({ pool: 1 });

const failWith = (sqlState: string) =>
  database.pool
    .query(`do $$ begin raise exception 'as it happens' using errcode = '${sqlState}'; end $$`)
    .then(
      () => null,
      (error: unknown) => error,
    );

test.each([
  ['a deadlock', '40P01'],
  ['a serialization failure', '40001'],
  ['a cancelled or timed-out statement', '57014'],
  ['a server that shuts down', '57P01'],
  ['a standby, after a failover', '25006'],
  ['a transaction that idled too long', '25P03'],
  ['a full disk', '53100'],
  ['too many connections', '53300'],
  ['an I/O error', '58030'],
  ['a lock that somebody else keeps', '55P03'],
  ['a lost connection', '08006'],
])('%s is 503: send the same key again', async (_, sqlState) => {
  expect(toProblem(await failWith(sqlState))).toMatchObject({
    status: 503,
    code: expect.stringMatching(/^(database_busy|database_unavailable|team_busy)$/),
    detail: expect.stringMatching(/send the same key again/),
    retryAfterSeconds: 1,
  });
});

test.each(['22003', '23505', '42P01', 'XX000'])(
  'an error of our own statements, such as %s, stays 500',
  async (sqlState) => {
    expect(toProblem(await failWith(sqlState))).toMatchObject({ status: 500, code: 'internal_error' });
  },
);
