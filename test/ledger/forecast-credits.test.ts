import { expect, test } from '@jest/globals';
import { type ForecastLot, forecastCredits } from '../../ledger/read/forecast-credits.ts';

const now = new Date('2026-03-10T12:00:00Z');
const day = 86_400_000;
const after = (days: number) => new Date(now.getTime() + days * day);
const lot = (available: number, days: number | null): ForecastLot => ({
  available: BigInt(available),
  expiresAt: days === null ? null : after(days),
});

/** Lots in burn order: the credits, and the days until they expire. 70 consumed in 7 days are 10 a day. */
test.each<[string, ForecastLot[], number, [number, number, number][], number | null]>([
  ['nothing, at no pace', [], 0, [], 0],
  ['nothing, at a pace', [], 70, [], 0],
  ['lifetime credits at no pace', [lot(100, null)], 0, [], null],
  ['lifetime credits at a pace', [lot(100, null)], 70, [], 10],
  ['credits that are used up before they expire', [lot(100, 30)], 70, [[30, 100, 0]], 10],
  ['credits that are used up just when they expire', [lot(100, 10)], 70, [[10, 100, 0]], 10],
  ['credits that expire half used', [lot(100, 5)], 70, [[5, 100, 50]], 5],
  ['credits that expire unused', [lot(100, 5)], 0, [[5, 100, 100]], 5],
  ['what expires does not help later', [lot(100, 5), lot(100, null)], 70, [[5, 100, 50]], 15],
  [
    'each grant is used from when the one before it is gone',
    [lot(20, 5), lot(100, 6), lot(30, null)],
    70,
    [
      [5, 20, 0],
      [6, 100, 60],
    ],
    9,
  ],
  [
    'grants that expire together count together',
    [lot(30, 5), lot(40, 5), lot(10, null)],
    70,
    [[5, 70, 20]],
    6,
  ],
  ['a pace so slow that it does not matter', [lot(1_000_000_000, null)], 1, [], null],
])('%s', (_, lots, consumed, expiring, runsOut) => {
  expect(forecastCredits(lots, BigInt(consumed), 7, now)).toEqual({
    expiring: expiring.map(([at, credits, unused]) => ({
      at: after(at),
      credits: BigInt(credits),
      unused: BigInt(unused),
    })),
    pace: { days: 7, creditsPerDay: BigInt(Math.floor(consumed / 7)) },
    runsOutAt: runsOut === null ? null : after(runsOut),
  });
});
