import type { EntityManager } from '@mikro-orm/postgresql';
import type { Debt } from '../../database/entities/debt.ts';
import type { Grant } from '../../database/entities/grant.ts';
import { clawedBack, planClawback } from '../rules/plan-clawback.ts';
import { setDebt, settleDebts } from './debts.ts';
import { expireCredits, giveLateLife } from './expire-credits.ts';
import { applyMoves } from './team-grants.ts';

/** The grants of a pack's order or of a subscription's cycle, and how much of them must be given back. */
export interface Clawback {
  teamId: string;
  /** `order:{id}` or `cycle:{subscription}:{start}`: the key of its debt and the reference of its transfers. */
  debtKey: string;
  /** The debt with this key; null if there never was one. */
  debt: Debt | null;
  /** All its grants. */
  grants: readonly Grant[];
  /** The total of micro-credits that must be taken back. */
  target: bigint;
  /** Whether lifetime credits may settle the debt: true for a pack, false for a cycle. */
  lifetime: boolean;
}

/**
 * Moves a clawback to its cumulative target: revokes available credits, records the rest as a debt and settles that at
 * once from the team's other credits. If the target is lower than before, gives credits back. Credits that come back
 * after their expiry can be spent for `lateLifeMs` from now. A repetition changes nothing. The caller holds the team's
 * lock and has read `now` after it.
 *
 * @param lateLifeMs  the catalog's policy `lateAllotmentLife`, in milliseconds
 * @returns the micro-credits of the grants that are revoked, and the debt after settling
 */
export async function clawBack(
  em: EntityManager,
  { teamId, debtKey, debt: known, grants, target, lifetime }: Clawback,
  { lateLifeMs, now }: { lateLifeMs: number; now: Date },
): Promise<{ revoked: bigint; outstanding: bigint }> {
  const revoked = () => grants.reduce((total, grant) => total + clawedBack(grant), 0n);
  await expireCredits(em, teamId, now);
  const plan = planClawback(debtKey, grants, target, known?.settled ?? 0n);
  await applyMoves(em, grants, plan.moves, now);
  const restored = new Set(plan.moves.filter(({ to }) => to === 'available').map(({ grantId }) => grantId));
  for (const grant of grants) if (restored.has(grant.id)) await giveLateLife(em, grant, lateLifeMs, now);
  await em.flush();
  const owing = { teamId, key: debtKey, lifetime, owed: plan.owed };
  const debt = await setDebt(em, known, owing, { lateLifeMs, now });
  await settleDebts(em, teamId, now);
  return { revoked: revoked(), outstanding: debt ? debt.owed - debt.settled : 0n };
}
