import fc from 'fast-check';
import type { ModelCap } from './ledger-model.ts';

/**
 * What a run does to its two teams, as plain values: fast-check prints and shrinks them. What a command points at (a hold,
 * an order, an earlier request) is a number, counted back from the newest, so that it still points at something when
 * the commands before it are shrunk away.
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
  | ({ kind: 'cap'; team: number } & ModelCap)
  | { kind: 'uncap'; team: number; cap: number };

/** A request on the hot path; all of one command are sent at once. */
export type Sent =
  | {
      kind: 'spend';
      team: number;
      credits: bigint;
      age: number | null;
      member: string | null;
      apiKey: string | null;
    }
  | {
      kind: 'hold';
      team: number;
      credits: bigint;
      life: number;
      member: string | null;
      apiKey: string | null;
    }
  | { kind: 'capture'; hold: number; credits: bigint | 'the same' }
  | { kind: 'release' | 'lapse' | 'releaseOfAnotherTeam'; hold: number }
  | { kind: 'extend'; hold: number; life: number }
  /** An earlier request once more, under its key; with another body it is another request. */
  | { kind: 'again'; request: number; changed: boolean };

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const team = fc.constantFrom(0, 0, 0, 1);
const anyOfThem = fc.nat({ max: 5 });
const someCredits = fc.oneof(
  { weight: 3, arbitrary: fc.bigInt({ min: 1n, max: 20n }) },
  { weight: 1, arbitrary: fc.bigInt({ min: 1n, max: 60n }) },
);
const cents = fc.bigInt({ min: 0n, max: 10n });
const consumer = {
  member: fc.constantFrom(null, 'ada', 'ada', 'bob'),
  apiKey: fc.constantFrom(null, 'key1'),
};
const holdLife = fc.constantFrom(1, minute, hour, day);

const sent: fc.Arbitrary<Sent> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('spend' as const),
      team,
      credits: someCredits,
      age: fc.constantFrom(...Array(20).fill(null), 0, hour, 40 * day, 90 * day, 91 * day, -minute, -hour),
      ...consumer,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('hold' as const),
      team,
      credits: someCredits,
      life: holdLife,
      ...consumer,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('capture' as const),
      hold: anyOfThem,
      credits: fc.oneof(someCredits, fc.constant('the same' as const)),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('release', 'release', 'lapse', 'lapse', 'releaseOfAnotherTeam'),
      hold: anyOfThem,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('extend' as const), hold: anyOfThem, life: holdLife }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('again' as const),
      request: anyOfThem,
      changed: fc.constantFrom(false, false, true),
    }),
  },
);

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 26,
    arbitrary: fc.record({
      kind: fc.constant('requests' as const),
      sent: fc.oneof(fc.tuple(sent), fc.array(sent, { minLength: 2, maxLength: 6 })),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.constantFrom(1, second, minute, 40 * minute, hour, 5 * hour, day, 8 * day),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      team,
      source: fc.constantFrom('trial', 'subscription'),
      credits: someCredits,
      age: fc.constantFrom(0, 0, hour),
      lifetime: fc.constantFrom(null, -1, 0, minute, hour, hour, day, 10 * day),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('grantAgain' as const), team, grant: anyOfThem }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('buy' as const),
      team,
      units: fc.integer({ min: 1, max: 3 }),
      paid: cents,
      refunded: fc.oneof({ weight: 4, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: cents }),
      pays: fc.constantFrom(true, true, true, false),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('subscribe' as const),
      team,
      paid: cents,
      length: fc.constantFrom(hour, day, 8 * day),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('endSubscription' as const), team }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('tellOrder' as const),
      team,
      order: anyOfThem,
      refunded: cents,
      stale: fc.constantFrom(false, false, false, false, true),
      pays: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire' as const), team }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('adjust' as const),
      team,
      credits: fc.bigInt({ min: -40n, max: 40n }).filter((credits) => credits !== 0n),
      lifetime: fc.constantFrom(null, 0, minute, hour, day, 10 * day),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('uncap' as const), team, cap: anyOfThem }) },
  {
    weight: 2,
    arbitrary: fc.oneof(
      fc.record({
        kind: fc.constant('cap' as const),
        team,
        subject: fc.constant('member' as const),
        id: fc.constantFrom('ada', 'bob'),
        credits: fc.bigInt({ min: 0n, max: 90n }),
        per: fc.constantFrom('day', 'month', 'cycle'),
      }),
      fc.record({
        kind: fc.constant('cap' as const),
        team,
        subject: fc.constant('key' as const),
        id: fc.constant('key1'),
        credits: fc.bigInt({ min: 0n, max: 90n }),
        per: fc.constantFrom('day', 'month', 'cycle'),
      }),
    ),
  },
);

/** What there is to spend, most of the time. */
const opening: fc.Arbitrary<Command[]> = fc.constantFrom(
  [],
  [buy(0, 1), buy(1, 1)],
  [buy(0, 3), buy(1, 2)],
  [{ kind: 'subscribe', team: 0, paid: 10n, length: day }, buy(0, 1)],
  [{ kind: 'grant', team: 0, source: 'trial', credits: 60n, age: 0, lifetime: hour }, buy(0, 2)],
);

function buy(team: number, units: number): Command {
  return { kind: 'buy', team, units, paid: 10n, refunded: 0n, pays: true };
}

/** The commands of one run. */
export const commands: fc.Arbitrary<Command[]> = fc
  .tuple(opening, fc.array(command, { minLength: 6, maxLength: 18, size: 'max' }))
  .map(([first, then]) => [...first, ...then]);
