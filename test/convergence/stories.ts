import fc from 'fast-check';

const minute = 60_000;
const hour = 60 * minute;
export const day = 24 * hour;

/** An action of a team at Polar, or an event there. Orders, refunds and disputes are counted from the newest. */
export type Deed =
  | { kind: 'buy'; pack: string; units: number }
  | { kind: 'subscribe'; plan: string; trialDays: number; free: boolean }
  | { kind: 'change-plan'; plan: string; proration: Proration }
  | Simple
  | { kind: 'fail-next-payment'; times: number }
  | { kind: 'refund'; order: number; share: number }
  | { kind: 'reverse'; refund: number }
  | { kind: 'dispute'; order: number; share: number; status: 'needs_response' | 'prevented' }
  | { kind: 'win' | 'lose'; dispute: number }
  | { kind: 'spend'; credits: number };

type Proration = 'invoice' | 'prorate' | 'next_period' | 'reset';

interface Simple {
  kind:
    | 'cancel'
    | 'uncancel'
    | 'revoke'
    | 'reinstate'
    | 'pause'
    | 'resume'
    | 'renew-now'
    | 'pay-past-due'
    | 'reconcile';
}

export interface Step {
  /** Milliseconds since the previous step. */
  after: number;
  deed: Deed;
}

export interface Story {
  begins: Date;
  steps: Step[];
  /** From the last step until reconciliation finds what was lost, in milliseconds. */
  rest: number;
  /**
   * Whether Polar also sends the webhooks that only repeat `subscription.updated`. Most stories run without them,
   * because then each loss has an effect.
   */
  twins: boolean;
}

/** The delivery of one webhook: delays in milliseconds. */
export interface Fate {
  delay: number;
  lost: boolean;
  /** It arrives again this long after the first time. */
  again: number | null;
  /** Its position among those that arrive at the same time. */
  rank: number;
}

/** The deliveries of a team's webhooks, in the order of their creation, repeated. None: undisturbed. */
export type Schedule = Fate[];

/** Never a whole number of days, so that an action is never at the exact time of a renewal. */
const short = [
  minute,
  7_000,
  61 * minute,
  5 * hour + 11 * minute,
  day + 1_001,
  2 * day + 2_003,
  5 * day + 4_007,
];
const long = [9 * day + 8_009, 16 * day + 16_033, 29 * day + 32_057];
const plan = fc.constantFrom('starter_monthly', 'starter_monthly', 'pro_monthly', 'pro_yearly');
/** Usually the newest. */
const nth = fc.constantFrom(0, 0, 0, 1, 2);
/** A part of the money that an order was paid with. */
const share = fc.constantFrom(1, 0.5, 0.3, 0.01);

const deeds = {
  buy: record<Deed>({
    kind: fc.constant('buy'),
    pack: fc.constantFrom('pack_1000', 'pack_5000', 'pack_20000'),
    units: fc.constantFrom(1, 1, 2, 3),
  }),
  subscribe: record<Deed>({
    kind: fc.constant('subscribe'),
    plan,
    trialDays: fc.constantFrom(0, 0, 0, 14),
    free: fc.constantFrom(false, false, false, true),
  }),
  change: changeTo(plan, fc.constantFrom('invoice', 'prorate', 'next_period', 'reset')),
  up: changeTo(fc.constant('pro_monthly'), fc.constant('invoice')),
  down: changeTo(fc.constant('starter_monthly'), fc.constantFrom('invoice', 'prorate')),
  fail: record<Deed>({ kind: fc.constant('fail-next-payment'), times: fc.constantFrom(1, 2, 3, 9) }),
  refund: record<Deed>({ kind: fc.constant('refund'), order: nth, share }),
  reverse: record<Deed>({ kind: fc.constant('reverse'), refund: nth }),
  dispute: record<Deed>({
    kind: fc.constant('dispute'),
    order: nth,
    share,
    status: fc.constantFrom('needs_response', 'needs_response', 'prevented'),
  }),
  close: record<Deed>({ kind: fc.constantFrom('win', 'lose'), dispute: nth }),
  spend: record<Deed>({
    kind: fc.constant('spend'),
    credits: fc.constantFrom(100, 400, 1_500, 5_000, 11_000),
  }),
};

/** Steps in sequence, but not at once: a payment fails, and later the customer pays. */
const scenes = {
  buy: scene(deeds.buy),
  subscribe: scene(deeds.subscribe),
  change: fc.oneof(
    scene(deeds.change),
    scene(deeds.change, deeds.change),
    scene(deeds.up, deeds.down, deeds.up),
  ),
  cancel: fc.oneof(scene(simply('cancel')), scene(simply('cancel'), simply('uncancel'))),
  end: fc.oneof(scene(simply('revoke')), scene(simply('revoke'), deeds.subscribe)),
  reinstate: scene(simply('revoke'), simply('reinstate')),
  pause: fc.oneof(scene(simply('renew-now')), scene(simply('pause'), simply('resume'))),
  fail: fc.oneof(scene(deeds.fail), overRenewal(deeds.fail, simply('pay-past-due'))),
  refund: fc.oneof(
    scene(deeds.refund),
    scene(deeds.refund, deeds.refund),
    scene(deeds.refund, deeds.reverse),
  ),
  dispute: fc.oneof(scene(deeds.dispute), scene(deeds.dispute, deeds.close)),
  reconcile: fc.oneof(scene(simply('reconcile')), scene(deeds.refund, simply('reconcile'), deeds.refund)),
  spend: scene(deeds.spend),
};

/** The weights of a story: how often each scene occurs. */
const themes: Partial<Record<keyof typeof scenes, number>>[] = [
  { buy: 3, refund: 4, dispute: 4, end: 1, reconcile: 1 },
  { change: 8, cancel: 1, refund: 3, fail: 1, pause: 1, reconcile: 1 },
  { cancel: 3, end: 2, reinstate: 3, fail: 4, pause: 2, change: 2, refund: 1, subscribe: 1, reconcile: 1 },
  {
    buy: 2,
    change: 3,
    cancel: 2,
    end: 1,
    reinstate: 1,
    fail: 2,
    refund: 3,
    dispute: 2,
    pause: 1,
    reconcile: 1,
  },
];

/** Leap days, months that are too short, the end of a year. */
const beginnings = [
  '2040-01-31T10:00:00Z',
  '2040-02-29T23:30:00Z',
  '2039-12-15T00:00:00Z',
  '2040-08-30T12:34:56Z',
];

/** Stories of some weeks to some months, at most a year, with or without spent credits. */
export function stories({ spent }: { spent: boolean }): fc.Arbitrary<Story> {
  return record<Story>({
    begins: fc.constantFrom(...beginnings).map((at) => new Date(at)),
    steps: fc
      .tuple(opening, fc.oneof(...themes.map((theme) => following(spent ? { ...theme, spend: 8 } : theme))))
      .map(([first, then]) => [...first, ...then.flat()]),
    rest: fc.constantFrom(minute, hour, 5 * day, 12 * day, 33 * day, 40 * day),
    twins: fc.constantFrom(false, false, true),
  });
}

const opening: fc.Arbitrary<Step[]> = fc.oneof(
  scene(deeds.subscribe),
  scene(deeds.buy, deeds.subscribe),
  scene(deeds.subscribe, deeds.buy),
);

function following(theme: Partial<Record<string, number>>): fc.Arbitrary<Step[][]> {
  const weighted = Object.entries(scenes).map(([name, arbitrary]) => ({
    weight: theme[name] ?? 0,
    arbitrary,
  }));
  return fc.array(fc.oneof(...weighted), { minLength: 1, maxLength: 4, size: 'max' });
}

function scene(...all: fc.Arbitrary<Deed>[]): fc.Arbitrary<Step[]> {
  const pauses = (isFirst: boolean) => fc.constantFrom(...short, ...(isFirst ? long : []));
  return fc.tuple(...all.map((deed, index) => record<Step>({ after: pauses(index === 0), deed })));
}

/** One action in one period, the other some days into the next. */
function overRenewal(first: fc.Arbitrary<Deed>, then: fc.Arbitrary<Deed>): fc.Arbitrary<Step[]> {
  const after = fc.constantFrom(31 * day + 3_001, 40 * day + 3_001, 50 * day + 3_001);
  return fc.tuple(
    record<Step>({ after: fc.constant(minute), deed: first }),
    record<Step>({ after, deed: then }),
  );
}

const delay = fc.constantFrom(0, minute, 10 * minute, hour, 8 * hour, day, 3 * day, 10 * day, 35 * day);

const fate = record<Fate>({
  delay: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: delay }),
  lost: fc.constantFrom(false, false, true),
  again: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: delay }),
  rank: fc.nat(9),
});

/** Webhooks that are shuffled, duplicated, late and lost. */
export const schedules: fc.Arbitrary<Schedule> = fc.oneof(
  { weight: 8, arbitrary: fc.array(fate, { minLength: 1, maxLength: 40, size: 'max' }) },
  { weight: 1, arbitrary: fc.constant<Schedule>([{ delay: 0, lost: true, again: null, rank: 0 }]) },
);

function changeTo(plan: fc.Arbitrary<string>, proration: fc.Arbitrary<Proration>): fc.Arbitrary<Deed> {
  return record<Deed>({ kind: fc.constant('change-plan'), plan, proration });
}

function simply(kind: Simple['kind']): fc.Arbitrary<Deed> {
  return record<Deed>({ kind: fc.constant(kind) });
}

/** Plain objects, because their printed form is short. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}
