import type { EntityManager } from '@mikro-orm/postgresql';
import { Debt } from '../../database/entities/debt.ts';
import type { Grant } from '../../database/entities/grant.ts';
import { clawedBack, planClawback } from '../rules/plan-clawback.ts';
import { giveLateLife } from './change-expiry.ts';
import { setDebt, settleDebts } from './debts.ts';
import { expireCredits } from './expire-credits.ts';
import { moveCredits } from './move-credits.ts';

/** What an order of a pack, or a cycle of a subscription, was granted and must give back. */
export interface Clawback {
  teamId: string;
  /** `order:{id}` or `cycle:{subscription}:{start}`: what its transfers and its debt go by. */
  debtKey: string;
  /** The debt of this key; null if nothing was ever owed. */
  debt: Debt | null;
  /** All that was granted for it. */
  grants: readonly Grant[];
  /** Micro-credits that must be gone of them, in all. */
  target: bigint;
  /** Whether lifetime credits may settle what cannot be taken: a pack's debt yes, a subscription's never. */
  lifetime: boolean;
}

/**
 * Brings a clawback to its cumulative target: revokes what is available, keeps the rest as a debt and settles that at once
 * from the team's other credits; gives back what a lower target no longer needs. What is given back after its expiry lives for
 * `lateLife` from now. Doing it again changes nothing. The caller holds the team's lock and has read `now` after it.
 *
 * @param lateLife  the catalog's policy `lateAllotmentLife`, in milliseconds
 * @returns micro-credits that are revoked of the grants, and what is still owed after settling
 */
export async function clawBack(
  em: EntityManager,
  { teamId, debtKey, debt: known, grants, target, lifetime }: Clawback,
  { lateLife, now }: { lateLife: number; now: Date },
): Promise<{ revoked: bigint; outstanding: bigint }> {
  const revoked = () => grants.reduce((total, grant) => total + clawedBack(grant), 0n);
  // Most orders are never refunded: there is nothing to take and nothing to give back.
  if (target === 0n && revoked() === 0n && !known) return { revoked: 0n, outstanding: 0n };

  await expireCredits(em, teamId, now);
  const plan = planClawback(grants, target, known?.settled ?? 0n);
  const byId = new Map(grants.map((grant) => [grant.id, grant]));
  const grantOf = (id: string) => {
    const grant = byId.get(id);
    if (!grant) throw new Error(`the plan names the grant ${id}, which is not of ${debtKey}`);
    return grant;
  };
  for (const { lot, credits } of plan.revoke) {
    const move = { from: 'available', to: 'revoked', amount: credits, kind: 'clawback' } as const;
    moveCredits(em, { grant: grantOf(lot.id), ...move, reference: debtKey, at: now });
  }
  for (const { lot, credits } of plan.restore) {
    const grant = grantOf(lot.id);
    const move = { from: 'revoked', to: 'available', amount: credits, kind: 'clawback' } as const;
    moveCredits(em, { grant, ...move, reference: debtKey, at: now });
    giveLateLife(em, grant, lateLife, now);
  }
  await em.flush();
  await setDebt(em, { teamId, key: debtKey, lifetime, owed: plan.owed }, { lateLife, now });
  await settleDebts(em, teamId, now);

  const debt = await em.findOne(Debt, { key: debtKey });
  return { revoked: revoked(), outstanding: debt ? debt.owed - debt.settled : 0n };
}
