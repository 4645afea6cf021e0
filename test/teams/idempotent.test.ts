import { expect, test } from '@jest/globals';
import { DomainError } from '../../domain-error.ts';
import type { ErrorCode } from '../../errors.ts';
import { idempotentElsewhere } from '../../teams/idempotent.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const { database } = useTestDatabase({ pool: 5 });

let keys = 0;
const newKey = () => `key-${++keys}`;
const request = (key: string, body: string) => ({ scope: 'tests', key, bodyHash: Buffer.alloc(32, body) });
const answer = (body: unknown) => async () => ({ status: 201, body });
const conflict = { code: 'idempotency_conflict' };

test('of two concurrent requests with one key and two bodies, only one calls', async () => {
  const key = newKey();
  const gate = Promise.withResolvers<void>();
  let calls = 0;
  const call = (body: string) =>
    idempotentElsewhere(database, request(key, body), async () => {
      calls += 1;
      await gate.promise;
      return { status: 200, body };
    });
  const both = Promise.allSettled([call('monthly'), call('yearly')]);
  while (calls === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const third = call('another');
  await expect(third).rejects.toMatchObject(conflict);
  gate.resolve();
  const done = await both;
  expect(done.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  expect(done.find(({ status }) => status === 'rejected')).toMatchObject({ reason: conflict });
  expect(calls).toBe(1);
});

test('two concurrent requests with one body get one answer', async () => {
  const key = newKey();
  let calls = 0;
  const call = () =>
    idempotentElsewhere(database, request(key, 'same'), async () => ({ status: 201, body: ++calls }));
  const [one, two] = await Promise.all([call(), call()]);
  expect(one).toEqual(two);
  expect(await call()).toEqual(one);
});

test('after an error the key may be used for another body, after an ambiguous failure it may not', async () => {
  const key = newKey();
  const fails = (code: ErrorCode) =>
    idempotentElsewhere(database, request(key, 'first'), async () => {
      throw new DomainError(code, 'in vain');
    });
  await expect(fails('payment_failed')).rejects.toMatchObject({ code: 'payment_failed' });
  await expect(fails('polar_unavailable')).rejects.toMatchObject({ code: 'polar_unavailable' });
  await expect(idempotentElsewhere(database, request(key, 'second'), answer('second'))).rejects.toMatchObject(
    conflict,
  );
  expect(await idempotentElsewhere(database, request(key, 'first'), answer('first'))).toEqual({
    status: 201,
    body: 'first',
  });
});
