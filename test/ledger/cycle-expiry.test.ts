import { expect, test } from '@jest/globals';
import {
  type CycleFacts,
  type CycleGrant,
  cycleExpiry,
  planCycleExpiries,
  type SubscriptionState,
} from '../../ledger/rules/cycle-expiry.ts';

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

const week = 7 * 24 * hour;
const policies = { renewalGrace: hour, lateAllotmentLife: week };
const february = { start: at('02-01T10:00'), end: at('03-01T10:00') };
const march = { start: at('03-01T10:00'), end: at('04-01T10:00') };

function grantOf(cycle: { start: Date; end: Date }, more: Partial<CycleGrant> = {}): CycleGrant {
  return {
    businessKey: `allotment:s:${cycle.start.toISOString()}`,
    periodStart: cycle.start,
    periodEnd: cycle.end,
    expiresAt: new Date(cycle.end.getTime() + hour),
    livesUntil: null,
    createdAt: cycle.start,
    expired: 0n,
    ...more,
  };
}

function inCycle(cycle: { start: Date }, more: Partial<SubscriptionState> = {}): SubscriptionState {
  return { currentPeriodStart: cycle.start, cancelAtPeriodEnd: false, endedAt: null, ...more };
}

interface Expectation {
  expiresAt: Date;
  reason?: string;
  reinstated?: bigint;
}

const late = { createdAt: at('03-02T00:00'), livesUntil: at('03-09T00:00') };

test.each<[string, CycleGrant[], SubscriptionState | null, Expectation[]]>([
  [
    'a paid cycle closes the earlier cycle, and not itself',
    [grantOf(february), grantOf(march)],
    inCycle(march),
    [{ expiresAt: march.start, reason: 'the next cycle was paid' }, { expiresAt: at('04-01T11:00') }],
  ],
  [
    'a cancellation concerns the current cycle only',
    [grantOf(february)],
    inCycle(march, { cancelAtPeriodEnd: true }),
    [{ expiresAt: at('03-01T11:00') }],
  ],
  [
    'a cancelled cycle ends without grace',
    [grantOf(february)],
    inCycle(february, { cancelAtPeriodEnd: true }),
    [{ expiresAt: february.end, reason: 'cancelled at period end' }],
  ],
  [
    'an uncancelled cycle has its grace again',
    [grantOf(february, { expiresAt: february.end })],
    inCycle(february),
    [{ expiresAt: at('03-01T11:00'), reason: 'no longer cancelled' }],
  ],
  [
    'if Polar moves the end of a cycle, its credits follow',
    [grantOf(february, { periodEnd: at('02-20T10:00'), expiresAt: at('02-20T11:00') })],
    inCycle(february),
    [{ expiresAt: at('03-01T11:00'), reason: 'Polar moved the end of the period' }],
  ],
  [
    'a reinstated subscription gets back what its end expired',
    [grantOf(february, { expiresAt: at('02-05T00:00'), expired: 7n })],
    inCycle(february),
    [{ expiresAt: at('03-01T11:00'), reinstated: 7n }],
  ],
  [
    'credits of a cycle that has ended do not come back',
    [grantOf(february, { expired: 7n })],
    inCycle(february, { endedAt: at('02-05T00:00') }),
    [{ expiresAt: at('02-05T00:00'), reason: 'the subscription ended', reinstated: 0n }],
  ],
  [
    'an allotment that arrived late can be spent after its cycle',
    [grantOf(february, late)],
    inCycle(march),
    [{ expiresAt: late.livesUntil }],
  ],
  [
    'an allotment that arrived late is gone with a subscription that ended before its cycle',
    [grantOf(february, late)],
    inCycle(february, { endedAt: at('02-20T00:00') }),
    [{ expiresAt: at('02-20T00:00') }],
  ],
  [
    'credits that came back after their expiry keep their life when the subscription ends',
    [grantOf(february, { ...late, createdAt: february.start })],
    inCycle(february, { endedAt: at('02-20T00:00') }),
    [{ expiresAt: late.livesUntil }],
  ],
  [
    'without a state of the subscription, a cycle has its grace',
    [grantOf(february)],
    null,
    [{ expiresAt: at('03-01T11:00') }],
  ],
])('%s', (_, grants, state, expected) => {
  const planned = planCycleExpiries(grants, [february, march], state, policies, at('02-10T00:00'));
  expect(planned).toEqual(expected.map((one) => expect.objectContaining(one)));
});
