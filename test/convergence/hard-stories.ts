import { type Deed, day, type Fate, type Schedule, type Story } from './stories.ts';

const soon: Fate = { delay: 0, lost: false, again: null, rank: 0 };
const lost: Fate = { ...soon, lost: true };
const late: Fate = { ...soon, delay: 5 * day };
const minute = 60_000;
/** Polar's events for a paid pack, its refund, the reversal, and the refund that prevents a dispute. */
const paid = [soon, soon];
const moneyBackWords = 8;
const words = Array.from({ length: moneyBackWords }, (_, index) => index);

/**
 * Stories that random generation finds rarely. Each failed once, or would fail if one line of the handlers were
 * missing.
 */
export const hardStories: [Story, Schedule[]][] = [
  // Up, down and up again creates no credits, even if the first upgrade becomes known last.
  [
    story(
      [minute, subscribe('starter_monthly')],
      [day, change('pro_monthly', 'invoice')],
      [day, change('starter_monthly', 'invoice')],
      [day, change('pro_monthly', 'invoice')],
    ),
    [[lost], [soon, soon, soon, soon, lost, lost, lost, soon, soon, soon, soon, soon, soon]],
  ],
  // The same with a full discount: the lines of an order are all 0, and the order before it becomes known last.
  [
    story(
      [minute, { kind: 'subscribe', plan: 'starter_monthly', trialDays: 0, free: true }],
      [minute, change('pro_monthly', 'invoice')],
      [minute, change('starter_monthly', 'invoice')],
      [minute, change('pro_monthly', 'invoice')],
    ),
    Array.from({ length: 10 }, (_, index) => [
      soon,
      soon,
      soon,
      soon,
      ...words.map((word) => (word === index ? late : soon)),
      lost,
      lost,
    ]),
  ],
  // An early renewal, where only its order becomes known, after the next renewal.
  [
    {
      ...story([minute, subscribe('starter_monthly')], [minute, { kind: 'renew-now' }]),
      rest: 33 * day,
    },
    [[soon, lost], [lost]],
  ],
  // A payment that becomes known long after the subscription was revoked in the same cycle.
  [
    { ...story([minute, subscribe('starter_monthly')], [minute, { kind: 'revoke' }]), rest: 40 * day },
    [[soon, lost, lost, soon, soon, soon, soon], [lost]],
  ],
  // An end that was undone before it became known.
  [
    story([minute, subscribe('starter_monthly')], [day, { kind: 'revoke' }], [day, { kind: 'reinstate' }]),
    [
      [soon, soon, soon, soon, late, late, lost],
      [soon, soon, soon, soon, lost, late, lost],
    ],
  ],
  // Reconciliation reports one order twice.
  [
    story(
      [minute, { kind: 'buy', pack: 'pack_1000', units: 2 }],
      [day, { kind: 'refund', order: 0, share: 0.3 }],
      [day, { kind: 'reconcile' }],
      [day, { kind: 'refund', order: 0, share: 0.3 }],
    ),
    [[soon, soon, lost, lost, lost, lost, lost, lost, lost, lost]],
  ],
  // The order of a period that one change began becomes known after the next change has begun another period.
  [
    story(
      [minute, subscribe('pro_yearly')],
      [20 * day, change('starter_monthly', 'invoice')],
      [3 * day, change('pro_yearly', 'reset')],
      [3 * day, change('pro_monthly', 'invoice')],
    ),
    [[lost], [soon, soon, soon, soon, lost, lost, lost, lost, lost, lost, soon, soon, soon]],
  ],
  // Drips of a paid cycle that become known after the anchor day has changed.
  [
    story(
      [minute, subscribe('pro_yearly')],
      [minute, { kind: 'fail-next-payment', times: 9 }],
      [87 * day, { kind: 'renew-now' }],
    ),
    [[lost], [soon, soon, soon, lost, soon, soon, soon, soon]],
  ],
  // Money that was refunded, reversed and refunded again, if only one of these events arrives, or all but one.
  [
    story(
      [minute, { kind: 'buy', pack: 'pack_1000', units: 1 }],
      [day, { kind: 'refund', order: 0, share: 0.3 }],
      [day, { kind: 'reverse', refund: 0 }],
      [day, { kind: 'dispute', order: 0, share: 0.3, status: 'prevented' }],
    ),
    Array.from({ length: moneyBackWords }, (_, heard) => [
      [...paid, ...words.map((word) => (word === heard ? soon : lost))],
      [...paid, ...words.map((word) => (word === heard ? lost : soon))],
    ]).flat(),
  ],
  // A change at the exact time of a renewal: both cycles have the same start.
  [
    story([minute, subscribe('starter_monthly')], [29 * day, change('pro_yearly', 'prorate')]),
    [[lost], [soon]],
  ],
];

function story(...steps: [after: number, deed: Deed][]): Story {
  return {
    begins: new Date('2040-01-31T10:00:00Z'),
    steps: steps.map(([after, deed]) => ({ after, deed })),
    rest: 5 * day,
    twins: false,
  };
}

function subscribe(plan: string): Deed {
  return { kind: 'subscribe', plan, trialDays: 0, free: false };
}

function change(plan: string, proration: 'invoice' | 'prorate' | 'reset'): Deed {
  return { kind: 'change-plan', plan, proration };
}
