import { type EntityManager, raw } from '@mikro-orm/postgresql';
import type { Catalog } from '../../catalog/schema.ts';
import { Debt } from '../../database/entities/debt.ts';
import { Grant } from '../../database/entities/grant.ts';
import { Order } from '../../database/entities/order.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { DomainError } from '../../domain-error.ts';
import { type PlannedExpiry, planCycleExpiries } from '../rules/cycle-expiry.ts';
import {
  type CycleEntitlement,
  cycleTarget,
  dueGrants,
  type EntitledGrant,
  type Entitlement,
  entitlementOf,
} from '../rules/entitlement.ts';
import { clawBack } from './claw-back.ts';
import { changeExpiry, expireGrants } from './expire-credits.ts';
import { grantCredits } from './grant-credits.ts';
import { readBilling } from './read-billing.ts';
import { applyMoves, readExpiredGrants } from './team-grants.ts';

export type CyclePolicies = Pick<Catalog['policies'], 'renewalGrace' | 'lateAllotmentLife'>;

/** The result of following the entitlement. Micro-credits. */
export interface Followed {
  entitlement: Entitlement;
  granted: EntitledGrant[];
  /** Revoked of the subscription's cycles, before and after. */
  revokedBefore: bigint;
  revoked: bigint;
  /** The debts of the subscription's cycles, without what was settled. */
  outstanding: bigint;
}

/**
 * Moves the credits of a subscription to the entitlement of its cycles: grants what is due, sets the expiry of each
 * cycle's credits, and takes credits back or gives them back until each cycle is at its target. A repetition changes
 * nothing. The caller holds the team's lock and has read `now` after it.
 * @throws DomainError `doubtful_team`: the subscription belongs to another team
 */
export async function followEntitlement(
  em: EntityManager,
  { id, teamId }: { id: string; teamId: string },
  policies: CyclePolicies,
  now: Date,
): Promise<Followed> {
  const state = await em.findOne(Subscription, { id });
  if (state) demandOwnSubscription(state, teamId);
  await em.flush(); // the billing is read by SQL
  const [{ billing, orders }, known, debts, due] = await Promise.all([
    readBilling(em, id, state),
    em.find(Grant, { subscriptionId: id, source: 'subscription' }),
    readDebtsOfCycles(em, id),
    readExpiredGrants(em, teamId, now),
  ]);
  const entitlement = entitlementOf(billing);
  const revokedBefore = revokedOf(known);

  const granted: EntitledGrant[] = [];
  const knownKeys = new Set(known.map(({ businessKey }) => businessKey));
  for (const cycle of entitlement.cycles) {
    for (const due of dueGrants(cycle, orders, now)) {
      if (knownKeys.has(due.businessKey)) continue;
      knownKeys.add(due.businessKey);
      known.push(await grantOfCycle(em, { id, teamId }, cycle, due, policies, now));
      granted.push(due);
    }
  }
  if (granted.length > 0) await em.flush(); // changes of their expiry refer to them
  await alignExpiries(em, planCycleExpiries(known, entitlement.cycles, state, policies, now), now);
  await expireGrants(em, teamId, [...new Set([...known, ...due])], now);

  let outstanding = 0n;
  const byCycle = Map.groupBy(known, cycleKeyOf);
  for (const [debtKey, grants] of byCycle) {
    const cycle = entitlement.cycles.find(({ start }) => debtKey === cycleKey(id, start));
    const total = grants.reduce((sum, grant) => sum + grant.granted, 0n);
    const kept = cycle ? cycleTarget(cycle, orders, now) : 0n;
    const target = total > kept ? total - kept : 0n;
    const debt = debts.find(({ key }) => key === debtKey) ?? null;
    // Most cycles are never refunded: nothing to take and nothing to give back.
    if (target === 0n && debt === null && revokedOf(grants) === 0n) continue;
    const clawback = { teamId, debtKey, debt, grants, target, lifetime: false };
    const result = await clawBack(em, clawback, { lateLifeMs: policies.lateAllotmentLife, now });
    outstanding += result.outstanding;
  }
  return { entitlement, granted, revokedBefore, revoked: revokedOf(known), outstanding };
}

/**
 * A subscription has one team, because its credits and debts are changed under that team's lock only.
 * @param teamId  the team whose lock the caller holds
 * @throws DomainError `doubtful_team`
 */
export function demandOwnSubscription({ id, teamId: ownerId }: Subscription, teamId: string): void {
  if (ownerId === teamId) return;
  throw new DomainError(
    'doubtful_team',
    `Subscription ${id} belongs to team ${ownerId}, not to ${teamId}: assign the event to that team, or dismiss it`,
  );
}

/** The key of a cycle's grants, clawback and debt. */
function cycleKey(subscriptionId: string, start: Date): string {
  return `cycle:${subscriptionId}:${start.toISOString()}`;
}

/** A cycle has a debt only if it has grants. */
function readDebtsOfCycles(em: EntityManager, subscriptionId: string): Promise<Debt[]> {
  const keys = 'select debt_key from grants where subscription_id = ?';
  return em.find(Debt, { [raw((alias) => `${alias}.key in (${keys})`, [subscriptionId])]: [] });
}

function cycleKeyOf({ debtKey, businessKey }: Grant): string {
  if (debtKey === null) throw new Error(`the grant ${businessKey} belongs to no cycle`);
  return debtKey;
}

function revokedOf(grants: readonly Grant[]): bigint {
  return grants.reduce((sum, { revoked }) => sum + revoked, 0n);
}

async function grantOfCycle(
  em: EntityManager,
  subscription: { id: string; teamId: string },
  cycle: CycleEntitlement,
  due: EntitledGrant,
  policies: CyclePolicies,
  now: Date,
): Promise<Grant> {
  const order = await em.findOneOrFail(Order, { id: due.orderId });
  // Polar reported the payment in time and we applied it late: the delay is ours, not the team's.
  const late = due.kind !== 'drip' && cycle.end <= now && order.paidAt !== null && order.paidAt < cycle.end;
  return grantCredits(
    em,
    {
      teamId: subscription.teamId,
      source: 'subscription',
      businessKey: due.businessKey,
      credits: due.credits,
      effectiveAt: due.dueAt,
      expiresAt: new Date(cycle.end.getTime() + policies.renewalGrace),
      catalogVersion: due.catalogVersion,
      product: due.plan,
      orderId: due.orderId,
      debtKey: cycleKey(subscription.id, cycle.start),
      subscriptionId: subscription.id,
      period: { start: cycle.start, end: cycle.end },
      allotment: due.allotment,
      ...(late ? { livesUntil: new Date(now.getTime() + policies.lateAllotmentLife) } : {}),
    },
    now,
  );
}

/** Sets the expiry of each grant, and gives back what expired although its cycle has not ended. */
async function alignExpiries(
  em: EntityManager,
  planned: readonly PlannedExpiry<Grant>[],
  now: Date,
): Promise<void> {
  for (const { grant, periodEnd, expiresAt, reason, reinstated } of planned) {
    grant.periodEnd = periodEnd;
    await changeExpiry(em, grant, expiresAt, { reason, now });
    if (reinstated === 0n) continue;
    const move = { from: 'expired', to: 'available', amount: reinstated, kind: 'reinstate' } as const;
    await applyMoves(em, [grant], [{ grantId: grant.id, ...move, reference: grant.businessKey }], now);
  }
}
