import fc from 'fast-check';
import type { ModelLimit } from './ledger-model.ts';

/**
 * The commands of a run with two teams, as plain values that fast-check prints and shrinks. A reference (to a hold, an
 * order, an earlier request) is a number, counted back from the newest, so that it stays valid when earlier commands
 * are removed by shrinking.
 */
export type Command =
  | { kind: 'wait'; ms: number }
  | { kind: 'requests'; sent: Sent[] }
  | {
      kind: 'grant';
      team: number;
      source: 'trial' | 'subscription';
      credits: bigint;
      age: number;
      lifetime: number | null;
    }
  | { kind: 'grantAgain'; team: number; grant: number }
  | { kind: 'buy'; team: number; units: number; paid: bigint; refunded: bigint; pays: boolean }
  | { kind: 'subscribe'; team: number; paid: bigint; length: number }
  | { kind: 'endSubscription'; team: number }
  | { kind: 'tellOrder'; team: number; order: number; refunded: bigint; stale: boolean; pays: boolean }
  | { kind: 'expire'; team: number }
  | { kind: 'adjust'; team: number; credits: bigint; lifetime: number | null }
  | ({ kind: 'limit'; team: number } & ModelLimit)
  | { kind: 'unlimit'; team: number; limit: number };

/** A request on the hot path. All requests of one command are sent at once. */
export type Sent =
  | {
      kind: 'spend';
      team: number;
      credits: bigint | 'all';
      age: number | null;
      member: string | null;
      apiKey: string | null;
    }
  | {
      kind: 'hold';
      team: number;
      credits: bigint | 'all';
      ttlMs: number;
      member: string | null;
      apiKey: string | null;
    }
  | { kind: 'capture'; hold: number; credits: bigint | 'the same' }
  | { kind: 'release' | 'lapse' | 'releaseOfAnotherTeam'; hold: number }
  | { kind: 'extend'; hold: number; ttlMs: number }
  /** Repeats an earlier request with its key. With another body it is another request. */
  | { kind: 'again'; request: number; changed: boolean };

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const team = fc.constantFrom(0, 0, 0, 1);
const anyOfThem = fc.nat({ max: 4 });
const someCredits = often(4, fc.bigInt({ min: 1n, max: 15n }), fc.bigInt({ min: 1n, max: 60n }));
const someOrNone = often(9, someCredits, fc.constant(0n));
const creditsOrAll = often(5, someOrNone, is('all'));
const cents = fc.bigInt({ min: 0n, max: 10n });
const holdLife = fc.constantFrom(1, minute, hour, day);
const consumer = {
  member: fc.constantFrom(null, 'ada', 'ada', 'ada', 'bob', 'nobody'),
  apiKey: fc.constantFrom(null, 'key1'),
};

const request: Record<Exclude<Sent['kind'], 'lapse' | 'releaseOfAnotherTeam'>, fc.Arbitrary<Sent>> = {
  spend: fc.record({
    kind: is('spend'),
    team,
    credits: creditsOrAll,
    age: often(8, fc.constant(null), fc.constantFrom(0, hour, 40 * day, 90 * day, 91 * day, -minute, -hour)),
    ...consumer,
  }),
  hold: fc.record({ kind: is('hold'), team, credits: creditsOrAll, ttlMs: holdLife, ...consumer }),
  capture: fc.record({
    kind: is('capture'),
    hold: anyOfThem,
    credits: often(2, someOrNone, is('the same')),
  }),
  release: fc.record({
    kind: fc.constantFrom('release', 'release', 'lapse', 'lapse', 'releaseOfAnotherTeam'),
    hold: anyOfThem,
  }),
  extend: fc.record({ kind: is('extend'), hold: anyOfThem, ttlMs: holdLife }),
  again: fc.record({ kind: is('again'), request: anyOfThem, changed: fc.constantFrom(false, false, true) }),
};
const sent = weighted(request, { spend: 8, hold: 7, capture: 6, release: 4, extend: 2, again: 3 });

const per = fc.constantFrom('day', 'month', 'cycle');
const limit = { kind: is('limit'), team, credits: fc.bigInt({ min: 0n, max: 40n }), per };

const command: Record<Command['kind'], fc.Arbitrary<Command>> = {
  requests: fc.record({
    kind: is('requests'),
    sent: fc.oneof(fc.tuple(sent), fc.array(sent, { minLength: 2, maxLength: 6 })),
  }),
  wait: fc.record({
    kind: is('wait'),
    ms: fc.constantFrom(1, second, minute, 40 * minute, hour, 5 * hour, day, 8 * day),
  }),
  grant: fc.record({
    kind: is('grant'),
    team,
    source: fc.constantFrom('trial', 'subscription'),
    credits: someCredits,
    age: fc.constantFrom(0, 0, hour),
    lifetime: fc.constantFrom(null, -1, 0, minute, hour, hour, day, 10 * day),
  }),
  grantAgain: fc.record({ kind: is('grantAgain'), team, grant: anyOfThem }),
  buy: fc.record({
    kind: is('buy'),
    team,
    units: fc.integer({ min: 1, max: 3 }),
    paid: cents,
    refunded: often(4, fc.constant(0n), cents),
    pays: fc.constantFrom(true, true, true, false),
  }),
  subscribe: fc.record({
    kind: is('subscribe'),
    team,
    paid: cents,
    length: fc.constantFrom(hour, day, 8 * day),
  }),
  endSubscription: fc.record({ kind: is('endSubscription'), team }),
  tellOrder: fc.record({
    kind: is('tellOrder'),
    team,
    order: anyOfThem,
    refunded: cents,
    stale: often(4, fc.constant(false), fc.constant(true)),
    pays: fc.boolean(),
  }),
  expire: fc.record({ kind: is('expire'), team }),
  adjust: fc.record({
    kind: is('adjust'),
    team,
    credits: fc.bigInt({ min: -40n, max: 40n }).filter((credits) => credits !== 0n),
    lifetime: fc.constantFrom(null, 0, minute, hour, day, 10 * day),
  }),
  limit: fc.oneof(
    fc.record({ ...limit, subject: is('member'), id: fc.constantFrom('ada', 'bob') }),
    fc.record({ ...limit, subject: is('key'), id: is('key1') }),
  ),
  unlimit: fc.record({ kind: is('unlimit'), team, limit: anyOfThem }),
};

/** The weights of a story: a mixture of a few related commands finds more than a mixture of everything. */
const themes: Partial<Record<Command['kind'], number>>[] = [
  { requests: 20, wait: 6, grant: 3, buy: 1 },
  { requests: 20, wait: 4, grant: 1, limit: 5, unlimit: 1, subscribe: 1 },
  { requests: 14, wait: 3, grant: 3, buy: 2, subscribe: 3, tellOrder: 9, adjust: 2 },
  { requests: 10, wait: 6, subscribe: 4, endSubscription: 2, tellOrder: 4, adjust: 1, expire: 1 },
  {
    ...{ requests: 20, wait: 6, grant: 3, grantAgain: 1, buy: 3, subscribe: 2, endSubscription: 1 },
    ...{ tellOrder: 4, expire: 1, adjust: 3, limit: 2, unlimit: 1 },
  },
];

/** The credits available most of the time. */
const opening: fc.Arbitrary<Command[]> = fc.constantFrom<Command[][]>(
  [],
  [give(0, 40n, null), give(1, 40n, null)],
  [give(0, 60n, hour), give(0, 40n, null), give(1, 60n, day)],
  [buy(0, 2), give(1, 40n, null)],
  [{ kind: 'subscribe', team: 0, paid: 10n, length: day }, buy(0, 1)],
);

/** The commands of one run. */
export const commands: fc.Arbitrary<Command[]> = fc
  .tuple(
    opening,
    fc.oneof(
      ...themes.map((theme) =>
        fc.array(weighted(command, theme), { minLength: 4, maxLength: 15, size: 'max' }),
      ),
    ),
  )
  .map(([first, then]) => [...first, ...then]);

function give(team: number, credits: bigint, lifetime: number | null): Command {
  return { kind: 'grant', team, source: 'subscription', credits, age: 0, lifetime };
}

function buy(team: number, units: number): Command {
  return { kind: 'buy', team, units, paid: 10n, refunded: 0n, pays: true };
}

function is<const T extends string>(value: T): fc.Arbitrary<T> {
  return fc.constant(value);
}

function often<A, B>(weight: number, usual: fc.Arbitrary<A>, other: fc.Arbitrary<B>): fc.Arbitrary<A | B> {
  return fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: other });
}

function weighted<K extends string, T>(
  arbitraries: Readonly<Record<K, fc.Arbitrary<T>>>,
  weights: Readonly<Partial<Record<NoInfer<K>, number>>>,
): fc.Arbitrary<T> {
  const all = Object.entries<fc.Arbitrary<T>>(arbitraries);
  const chosen = new Map(Object.entries<number | undefined>(weights));
  return fc.oneof(...all.map(([name, arbitrary]) => ({ arbitrary, weight: chosen.get(name) ?? 0 })));
}
