import type { Polar } from '@polar-sh/sdk/2026-10';
import { type Database, readClock } from '../database/connection.ts';
import { Order } from '../database/entities/order.ts';
import { DomainError } from '../domain-error.ts';
import { readAnswer, readOrder } from '../polar/events.ts';
import { fetchCheckout, findCheckoutOrder } from '../polar/fetch-checkout.ts';
import { resolveTeam } from '../polar/resolve-team.ts';
import { findDifferences } from './find-differences.ts';
import { storeRepair } from './store-repair.ts';

/**
 * The state of a checkout: `open` not paid yet · `pending` Polar is processing the payment · `paid` and not granted
 * yet · `granted` its credits are in the ledger · `failed` the payment failed or the checkout expired.
 */
export const checkoutStatuses = ['open', 'pending', 'paid', 'granted', 'failed'] as const;
export type CheckoutStatus = (typeof checkoutStatuses)[number];

/** The comparison has no time limit. */
const endOfTime = new Date(8.64e15);

/**
 * Fetches a team's checkout from Polar. If it is paid and the ledger does not know it (its webhooks are late or lost),
 * its order is put into the team's inbox, as the event that a reconciliation would store. The team's workflow grants
 * it once, even if the webhook arrives later.
 *
 * @returns `inboxId`: the event that was stored now, for the team's workflow; null if none was stored
 * @throws DomainError `unknown_checkout`, also for another team's checkout; as `callPolar`
 */
export async function followCheckout(
  polar: Polar,
  database: Database,
  { teamId, checkoutId }: { teamId: string; checkoutId: string },
): Promise<{ status: CheckoutStatus; inboxId: string | null }> {
  const em = database.fork();
  const checkout = await fetchCheckout(polar, checkoutId);
  const resolved = checkout && (await resolveTeam(em, checkout.teamRef));
  if (!resolved || !('teamId' in resolved) || resolved.teamId !== teamId) {
    throw new DomainError('unknown_checkout', `The team has no checkout ${checkoutId}`);
  }
  const nothing = (status: CheckoutStatus) => ({ status, inboxId: null });
  switch (checkout.status) {
    case 'open':
      return nothing('open');
    case 'failed':
    case 'expired':
      return nothing('failed');
    case 'succeeded':
      break;
    default:
      return nothing('pending');
  }
  const raw = await findCheckoutOrder(polar, checkoutId);
  if (!raw) return nothing('pending');
  const order = readAnswer(readOrder, raw);
  if (order.status === 'void') return nothing('failed');
  if (!order.paid) return nothing('pending');
  const known = await em.findOne(Order, { id: order.id });
  if (known?.grantedAt) return nothing('granted');
  return { status: 'paid', inboxId: await storePaidOrder(polar, database, { teamId, checkoutId, raw }) };
}

async function storePaidOrder(
  polar: Polar,
  database: Database,
  { teamId, checkoutId, raw }: { teamId: string; checkoutId: string; raw: { id: string } },
): Promise<string | null> {
  const em = database.fork();
  const how = { until: endOfTime, fetchPauseMs: 0 };
  const { differences } = await findDifferences(em, polar, 'orders', [raw], how);
  const paid = differences.find(({ type }) => type === 'order.paid');
  if (!paid) return null;
  const run = { id: `checkout:${checkoutId}`, startedAt: (await readClock(em)).toISOString() };
  // No approval: Polar's webhook for this order would be granted without one too.
  const finding = await storeRepair(database, { ...paid, credits: 0n }, run);
  return finding?.state === 'repaired' && finding.teamId === teamId ? finding.inboxId : null;
}
