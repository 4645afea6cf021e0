import { expect, test } from '@jest/globals';
import { createPolarBudget } from '../../api/polar-budget.ts';
import { createTurns } from '../../api/take-turns.ts';

test('one user with four teams cannot have all turns', async () => {
  const turns = createTurns({ maxPerOwner: 2, maxInAll: 8 });
  const begun: string[] = [];
  const isDone = Promise.withResolvers<void>();
  const take = (team: string, ...user: string[]) =>
    turns.take([team, ...user], () => {
      begun.push(team);
      return isDone.promise;
    });
  const all = ['a1', 'a1', 'a2', 'a2', 'a3', 'a3', 'a4', 'a4'].map((team) => take(team, 'ada'));
  // A service key is no owner: only its teams are limited.
  all.push(take('b1', 'ben'), take('b1', 'ben'), take('s1'), take('s1'), take('s2'), take('s2'));
  await new Promise(setImmediate);
  expect(begun).toEqual(['a1', 'a1', 'b1', 'b1', 's1', 's1', 's2', 's2']);
  isDone.resolve();
  await Promise.all(all);
  expect(begun.slice(8)).toEqual(['a2', 'a2', 'a3', 'a3', 'a4', 'a4']);
});

test('one user with many teams cannot use up the requests to Polar', () => {
  const budget = createPolarBudget(() => 0);
  for (let team = 0; team < 60; team += 1) budget.take([`team ${team}`, 'user ada']);
  expect(() => budget.take(['team 60', 'user ada'])).toThrow(
    expect.objectContaining({ code: 'too_many_requests' }),
  );
  // The refused request took nothing from its team.
  for (let times = 0; times < 60; times += 1) budget.take(['team 60']);
  for (let times = 0; times < 60; times += 1) budget.take(['team 61', 'user ben']);
});
