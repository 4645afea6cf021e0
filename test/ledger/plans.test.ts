import { expect, test } from '@jest/globals';
import {
  type Accounts,
  isExpired,
  isSpendable,
  moveBetween,
  planExpiry,
  planForfeit,
} from '../../ledger/rules/grant.ts';
import { type HeldPart, planRelease } from '../../ledger/rules/plan-release.ts';
import { type OpenDebt, planReturn, planSettlement } from '../../ledger/rules/plan-settlement.ts';

const now = new Date('2026-03-10T12:00:00Z');
const before = new Date(now.getTime() - 1);
const after = new Date(now.getTime() + 1);

/** Moves as `grant: from → to amount`. */
function brief(moves: readonly { grantId: string; from: string; to: string; amount: bigint }[]): string[] {
  return moves.map(({ grantId, from, to, amount }) => `${grantId}: ${from} → ${to} ${amount}`);
}

test.each<[string, Date | null, boolean]>([
  ['credits can be spent before their expiry', after, false],
  ['credits are expired at the instant of their expiry', now, true],
  ['credits are expired after their expiry', before, true],
  ['lifetime credits never expire', null, false],
])('%s', (_, expiresAt, expired) => {
  expect(isExpired({ expiresAt }, now)).toBe(expired);
  expect(isSpendable({ expiresAt, available: 1n }, now)).toBe(!expired);
  expect(isSpendable({ expiresAt, available: 0n }, now)).toBe(false);
});

test('a move takes from one account what it adds to another, and leaves unknown accounts alone', () => {
  const grant: Accounts = { available: 10n, held: 0n };
  moveBetween(grant, { from: 'available', to: 'held', amount: 4n });
  moveBetween(grant, { from: 'held', to: 'consumed', amount: 1n });
  moveBetween(grant, { from: 'issued', to: 'available', amount: 5n });
  expect(grant).toEqual({ available: 11n, held: 3n });
});

test.each<[string, bigint]>([
  ['more than an account has', 11n],
  ['nothing', 0n],
  ['less than nothing', -1n],
])('no move moves %s', (_, amount) => {
  const grant = { available: 10n };
  expect(() => moveBetween(grant, { from: 'available', to: 'held', amount })).toThrow(/micro-credits/);
  expect(grant).toEqual({ available: 10n });
});

test('what has expired and is not used is booked as expired, once', () => {
  const grant = (id: string, expiresAt: Date | null, available: bigint) => {
    return { id, businessKey: `trial:${id}`, expiresAt, available };
  };
  const moves = planExpiry(
    [grant('past', before, 3n), grant('now', now, 2n), grant('later', after, 5n)].concat(
      grant('used up', before, 0n),
      grant('lifetime', null, 7n),
    ),
    now,
  );
  expect(brief(moves)).toEqual(['past: available → expired 3', 'now: available → expired 2']);
  expect(moves.map(({ kind, reference }) => [kind, reference])).toEqual([
    ['expire', 'trial:past'],
    ['expire', 'trial:now'],
  ]);
  expect(planExpiry([grant('past', before, 0n)], now)).toEqual([]);
});

test('a deleted team gives up what it has left, and nothing a second time', () => {
  const moves = planForfeit(
    [
      { id: 'a', available: 3n },
      { id: 'b', available: 0n },
    ],
    'team',
  );
  expect(brief(moves)).toEqual(['a: available → revoked 3']);
  expect(moves).toMatchObject([{ kind: 'forfeit', reference: 'team.deleted:team' }]);
  expect(planForfeit([{ id: 'a', available: 0n }], 'team')).toEqual([]);
});

const part = (grantId: string, credits: bigint, more: Partial<HeldPart> = {}): HeldPart => {
  return { grantId, credits, debtKey: null, expiresAt: null, ...more };
};

test.each<[string, HeldPart[], Record<string, bigint>, string[], Record<string, bigint>]>([
  ['what a hold gives back can be spent again', [part('a', 5n)], {}, ['a: held → available 5'], {}],
  [
    'what expired meanwhile expires',
    [part('a', 5n, { expiresAt: now }), part('b', 2n, { expiresAt: after })],
    {},
    ['a: held → expired 5', 'b: held → available 2'],
    {},
  ],
  [
    'credits of an order with a debt are taken back first, as far as the debt goes',
    [part('a', 5n, { debtKey: 'order:1' })],
    { 'order:1': 3n },
    ['a: held → revoked 3', 'a: held → available 2'],
    { 'order:1': 3n },
  ],
  [
    'several grants of one order make its debt smaller together',
    [part('a', 2n, { debtKey: 'cycle:1' }), part('b', 5n, { debtKey: 'cycle:1' })],
    { 'cycle:1': 4n },
    ['a: held → revoked 2', 'b: held → revoked 2', 'b: held → available 3'],
    { 'cycle:1': 4n },
  ],
  [
    'expired credits of an order with a debt make it smaller and expire',
    [part('a', 5n, { debtKey: 'order:1', expiresAt: before })],
    { 'order:1': 3n },
    ['a: held → expired 3', 'a: held → expired 2'],
    { 'order:1': 3n },
  ],
  [
    'the debt of another order takes nothing here',
    [part('a', 5n, { debtKey: 'order:1' })],
    { 'order:2': 3n },
    ['a: held → available 5'],
    {},
  ],
])('%s', (_, parts, owed, moves, forgiven) => {
  const release = planRelease('h', parts, new Map(Object.entries(owed)), now);
  expect(brief(release.moves)).toEqual(moves);
  expect(Object.fromEntries(release.forgiven)).toEqual(forgiven);
  for (const { kind, reference } of release.moves) expect([kind, reference]).toEqual(['release', 'hold:h']);
});

const debt = (key: string, outstanding: bigint, lifetime = true): OpenDebt => ({
  key,
  outstanding,
  lifetime,
});
const lot = (id: string, available: bigint, expiresAt: Date | null = null) => ({ id, available, expiresAt });

test.each<[string, OpenDebt[], ReturnType<typeof lot>[], [string, bigint, string[]][]]>([
  [
    'a debt takes the credits that burn first',
    [debt('order:1', 7n)],
    [lot('a', 5n, after), lot('b', 5n)],
    [['order:1', 7n, ['a: available → settled 5', 'b: available → settled 2']]],
  ],
  [
    'the debt of a subscription never takes lifetime credits',
    [debt('cycle:1', 7n, false)],
    [lot('a', 5n, after), lot('b', 5n)],
    [['cycle:1', 5n, ['a: available → settled 5']]],
  ],
  [
    'the oldest debt is paid first, the next one from what is left',
    [debt('order:1', 3n), debt('order:2', 9n)],
    [lot('a', 5n)],
    [
      ['order:1', 3n, ['a: available → settled 3']],
      ['order:2', 2n, ['a: available → settled 2']],
    ],
  ],
  [
    'lifetime credits are left to the debt that may take them',
    [debt('cycle:1', 9n, false), debt('order:1', 4n)],
    [lot('a', 5n, after), lot('b', 5n)],
    [
      ['cycle:1', 5n, ['a: available → settled 5']],
      ['order:1', 4n, ['b: available → settled 4']],
    ],
  ],
  ['a team without credits settles nothing', [debt('order:1', 3n)], [], [['order:1', 0n, []]]],
])('%s', (_, debts, payers, expected) => {
  const unchanged = structuredClone(payers);
  const settlements = planSettlement(debts, payers);
  expect(settlements.map(({ key, settled, moves }) => [key, settled, brief(moves)])).toEqual(expected);
  for (const { key, moves } of settlements) {
    for (const { kind, reference } of moves) expect([kind, reference]).toEqual(['settle', `debt:${key}`]);
  }
  expect(payers).toEqual(unchanged);
});

test('a debt that becomes smaller gives back to the grants that burn last', () => {
  const payments = [
    { grantId: 'last', credits: 4n },
    { grantId: 'first', credits: 5n },
  ];
  expect(brief(planReturn('order:1', payments, 6n))).toEqual([
    'last: settled → available 4',
    'first: settled → available 2',
  ]);
  expect(() => planReturn('order:1', payments, 10n)).toThrow('the debt order:1 was settled by 9, not by 10');
});
