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

test.each<[string, Partial<CycleFacts>, string]>([
  ['a running cycle outlives its period by the grace', {}, '2040-02-29T11:00:00Z'],
  ['a cancelled one ends exactly with it', { cancelAtPeriodEnd: true }, '2040-02-29T10:00:00Z'],
  ['the next allotment closes it', { nextAllotmentAt: periodEnd }, '2040-02-29T10:00:00Z'],
  [
    'a cycle that was cut short is closed there',
    { nextAllotmentAt: new Date('2040-02-10T00:00:00Z') },
    '2040-02-10T00:00:00Z',
  ],
  [
    'the end of the subscription ends it',
    { endedAt: new Date('2040-02-03T04:05:06Z') },
    '2040-02-03T04:05:06Z',
  ],
  [
    'an end after the grace prolongs nothing',
    { endedAt: new Date('2040-03-20T00:00:00Z') },
    '2040-02-29T11:00:00Z',
  ],
  [
    'of several reasons the first counts',
    { cancelAtPeriodEnd: true, endedAt: periodEnd, nextAllotmentAt: new Date('2040-02-28T00:00:00Z') },
    '2040-02-28T00:00:00Z',
  ],
])('%s', (_, more, expected) => {
  expect(cycleExpiry({ ...facts, ...more })).toEqual(new Date(expected));
});
