import { expect, test } from '@jest/globals';
import { type CycleFacts, cycleExpiry } from '../../ledger/rules/cycle-expiry.ts';

const hour = 3_600_000;
const periodEnd = new Date('2040-02-29T10:00:00Z');
const facts: CycleFacts = {
  periodEnd,
  cancelAtPeriodEnd: false,
  endedAt: null,
  nextAllotmentAt: null,
  renewalGrace: hour,
};

const at = (time: string) => new Date(`2040-${time}Z`);

test.each<[string, Partial<CycleFacts>, Date]>([
  ['a running cycle outlives its period by the grace', {}, at('02-29T11:00')],
  ['a cancelled one ends exactly with it', { cancelAtPeriodEnd: true }, at('02-29T10:00')],
  ['the next allotment closes it', { nextAllotmentAt: periodEnd }, at('02-29T10:00')],
  ['a cycle that was cut short is closed there', { nextAllotmentAt: at('02-10T00:00') }, at('02-10T00:00')],
  ['the end of the subscription ends it', { endedAt: at('02-03T04:05:06') }, at('02-03T04:05:06')],
  ['an end after the grace prolongs nothing', { endedAt: at('03-20T00:00') }, at('02-29T11:00')],
  [
    'of several reasons the first counts',
    { cancelAtPeriodEnd: true, endedAt: periodEnd, nextAllotmentAt: at('02-28T00:00') },
    at('02-28T00:00'),
  ],
])('%s', (_, more, expected) => {
  expect(cycleExpiry({ ...facts, ...more })).toEqual(expected);
});
