import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Move } from '../../ledger/rules/grant.ts';
import { type ClawbackGrant, clawbackTarget, planClawback } from '../../ledger/rules/plan-clawback.ts';

test.each<[string, bigint, bigint, bigint, bigint]>([
  ['half the money takes half the credits', 1_000n, 1_200n, 600n, 500n],
  ['a share is rounded down', 1_000n, 1_200n, 1n, 0n],
  ['and so is the largest share that is not all', 1_000n, 1_200n, 1_199n, 999n],
  ['all the money takes all the credits', 1_000n, 1_200n, 1_200n, 1_000n],
  ['more than all the money takes no more', 1_000n, 1_200n, 5_000n, 1_000n],
  ['what cost nothing owes nothing', 1_000n, 0n, 0n, 0n],
  ['even if something is refunded of it', 1_000n, 0n, 500n, 0n],
  ['nothing un-paid takes nothing', 1_000n, 1_200n, 0n, 0n],
  ['figures beyond 2^53 stay exact', 9_007_199_254_740_993n, 3n, 1n, 3_002_399_751_580_331n],
])('%s', (_, granted, paid, unpaid, target) => {
  expect(clawbackTarget(granted, paid, unpaid)).toBe(target);
});

const key = 'order:1';
const grant = (
  more: Partial<ClawbackGrant> & Pick<ClawbackGrant, 'granted' | 'available'>,
): ClawbackGrant => ({
  id: 'grant',
  source: 'purchase',
  businessKey: 'order:1',
  effectiveAt: new Date(0),
  expiresAt: null,
  expired: 0n,
  revoked: 0n,
  adjusted: 0n,
  writtenOff: 0n,
  ...more,
});
const moved = (moves: readonly Move[], to: Move['to']) =>
  moves.reduce((sum, move) => sum + (move.to === to ? move.amount : 0n), 0n);
const plan = (grants: ClawbackGrant[], paid: bigint, unpaid: bigint) => {
  const granted = grants.reduce((sum, one) => sum + one.granted, 0n);
  const { moves, owed } = planClawback(key, grants, clawbackTarget(granted, paid, unpaid), 0n);
  return { revoke: moved(moves, 'revoked'), restore: moved(moves, 'available'), owed };
};

type Outcome = ReturnType<typeof plan>;
const nothing: Outcome = { revoke: 0n, restore: 0n, owed: 0n };

test.each<[string, Parameters<typeof grant>[0], bigint, Partial<Outcome>]>([
  ['unspent credits are revoked', { granted: 100n, available: 100n }, 10n, { revoke: 100n }],
  ['spent ones are owed', { granted: 100n, available: 30n }, 10n, { revoke: 30n, owed: 70n }],
  ['expired ones count first', { granted: 100n, available: 40n, expired: 60n }, 8n, { revoke: 20n }],
  ['a second refund adds its part', { granted: 100n, available: 50n, revoked: 50n }, 8n, { revoke: 30n }],
  ['a reversal gives back', { granted: 100n, available: 0n, revoked: 100n }, 4n, { restore: 60n }],
  ['where it stands already nothing moves', { granted: 100n, available: 60n, revoked: 40n }, 4n, {}],
])('%s', (_, facts, unpaid, expected) => {
  expect(plan([grant(facts)], 10n, unpaid)).toEqual({ ...nothing, ...expected });
});

/** A pack's one grant and its debt, as in the ledger. The order of events must not matter. */
class RefundedOrder {
  grant: ClawbackGrant;
  owed = 0n;
  constructor(granted: bigint, spent: bigint) {
    this.grant = grant({ granted, available: granted - spent });
  }
  refundedUpTo(paid: bigint, unpaid: bigint) {
    const target = clawbackTarget(this.grant.granted, paid, unpaid);
    const { moves, owed } = planClawback(key, [this.grant], target, 0n);
    const change = moved(moves, 'revoked') - moved(moves, 'available');
    this.grant = {
      ...this.grant,
      available: this.grant.available - change,
      revoked: this.grant.revoked + change,
    };
    this.owed = owed;
  }
}

test('refunds, reversals and repetitions end at the last cumulative amount, whatever happened before', () => {
  const amount = fc.bigInt({ min: 0n, max: 10_000n });
  fc.assert(
    fc.property(
      fc.bigInt({ min: 1n, max: 10n ** 12n }),
      fc.bigInt({ min: 0n, max: 100n }),
      fc.bigInt({ min: 1n, max: 10_000n }),
      fc.array(amount, { minLength: 1, maxLength: 8 }),
      (granted, spentPercent, paid, steps) => {
        const spent = (granted * spentPercent) / 100n;
        const walked = new RefundedOrder(granted, spent);
        for (const unpaid of steps) walked.refundedUpTo(paid, unpaid);
        const direct = new RefundedOrder(granted, spent);
        direct.refundedUpTo(paid, steps.at(-1) ?? 0n);

        expect(walked).toEqual(direct);
        const { available, revoked } = walked.grant;
        expect(available + revoked + spent).toBe(granted);
        expect(revoked + walked.owed).toBe(clawbackTarget(granted, paid, steps.at(-1) ?? 0n));
      },
    ),
  );
});

test('planned again after other grants settled the debt, nothing moves, even if credits were released meanwhile', () => {
  const released = grant({ granted: 100n, available: 40n, revoked: 60n });
  expect(planClawback(key, [released], 100n, 40n)).toEqual({ moves: [], owed: 40n });
});

test('a reversal first gives back settled credits of other grants, then revoked ones', () => {
  const taken = grant({ granted: 100n, available: 0n, revoked: 50n });
  expect(planClawback(key, [taken], 60n, 50n)).toEqual({ moves: [], owed: 10n });
  expect(planClawback(key, [taken], 40n, 50n)).toEqual({
    moves: [
      { grantId: 'grant', kind: 'clawback', from: 'revoked', to: 'available', amount: 10n, reference: key },
    ],
    owed: 0n,
  });
});

test('an order’s grants share its target, and those that expire first are revoked first', () => {
  const soon = grant({ id: 'soon', businessKey: 'a', granted: 100n, available: 20n, expiresAt: new Date(1) });
  const late = grant({
    id: 'late',
    businessKey: 'b',
    granted: 100n,
    available: 100n,
    expiresAt: new Date(2),
  });
  const { moves, owed } = planClawback(key, [late, soon], 100n, 0n);
  expect(moves.map(({ grantId, to, amount }) => [grantId, to, amount])).toEqual([
    ['soon', 'revoked', 20n],
    ['late', 'revoked', 80n],
  ]);
  expect(owed).toBe(0n);
});

test('credits that an adjustment took count as used: a clawback takes as much as if they had been spent', () => {
  const taken = grant({ granted: 1_000n, available: 400n, revoked: 600n, adjusted: 600n });
  const spent = grant({ granted: 1_000n, available: 400n });
  for (const one of [taken, spent]) {
    const { moves, owed } = planClawback(key, [one], 500n, 0n);
    expect({ revoked: moved(moves, 'revoked'), owed }).toEqual({ revoked: 400n, owed: 100n });
  }
});

test('credits given up for the order count as taken back, and no reversal returns them', () => {
  const givenUp = grant({ granted: 1_000n, available: 400n, revoked: 600n, writtenOff: 600n });
  expect(planClawback(key, [givenUp], 500n, 0n)).toEqual({ moves: [], owed: 0n });
  expect(planClawback(key, [givenUp], 0n, 0n)).toEqual({ moves: [], owed: 0n });
});
