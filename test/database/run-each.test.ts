import { expect, test } from '@jest/globals';
import { runEach } from '../../database/run-each.ts';

test('an item that fails stops no other, and the error says how many failed and why', async () => {
  const done: number[] = [];
  const work = async (item: number) => {
    if (item % 2 === 0) throw new Error(`${item} is even`);
    done.push(item);
  };
  await expect(runEach([1, 2, 3, 4, 5], work)).rejects.toThrow('2 failed, the first because: 2 is even');
  expect(done).toEqual([1, 3, 5]);
  await runEach([1, 3], work);
});

test('a lost connection ends the run at once', async () => {
  const begun: number[] = [];
  const lost = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const work = async (item: number) => {
    begun.push(item);
    throw lost;
  };
  await expect(runEach([1, 2, 3], work)).rejects.toBe(lost);
  expect(begun).toEqual([1]);
});
