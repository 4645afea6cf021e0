import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../../database/connection.ts';
import { findSubscriptionConflicts } from '../../reconciliation/find-conflicts.ts';
import { findDifferences } from '../../reconciliation/find-differences.ts';
import { listPage, type PolarPage, type Walked } from '../../reconciliation/polar-page.ts';
import type { Run } from '../../reconciliation/reports.ts';
import { type ReconciliationFinding, storeRepair } from '../../reconciliation/store-repair.ts';
import {
  fetchSettledOrders,
  forgetSettledOrders,
  rememberUnpaidOrders,
} from '../../reconciliation/unpaid-orders.ts';

/** The result of a page, and the next page. */
export interface WalkedPage {
  seen: number;
  findings: ReconciliationFinding[];
  next: number | null;
}

/** The two sides, and the pause between two requests to Polar. */
export interface Comparing {
  database: Database;
  polar: Polar;
  fetchPauseMs: number;
}

/** How long a change is left to its webhook before reconciliation repairs it. */
const webhookDelayMs = 2 * 60_000;

const dayMs = 86_400_000;
/**
 * How many days back a run compares, unless it compares everything. Polar filters by creation only, never by
 * modification: refunds and disputes change for months, and orders that are unpaid after this are stored and compared
 * separately.
 */
const recentDays: Record<Walked, number | null> = {
  orders: 7,
  unpaid_orders: null,
  subscriptions: null,
  refunds: 90,
  disputes: 180,
};

/** Compares one page of Polar's objects with the ledger and puts the differences into the teams' inboxes. */
export async function reconcilePage(
  comparing: Comparing,
  run: Run,
  kind: Walked,
  page: number,
  everything: boolean,
): Promise<WalkedPage> {
  const days = everything ? null : recentDays[kind];
  const createdAfter = days === null ? null : new Date(Date.parse(run.startedAt) - days * dayMs);
  const { items, next } = await listPage(comparing.polar, kind, { page, createdAfter });
  const until = new Date(Date.parse(run.startedAt) - webhookDelayMs);
  if (kind === 'unpaid_orders') return reconcileUnpaid(comparing, run, { items, next }, page, until);
  const findings = await compare(comparing, run, kind, items, until);
  if (kind === 'subscriptions' && next === null)
    findings.push(...(await findSubscriptionConflicts(comparing.database.fork())));
  return { seen: items.length, findings, next };
}

/** Stores the unpaid orders of a page. After the last page, compares those that are no longer unpaid. */
async function reconcileUnpaid(
  comparing: Comparing,
  run: Run,
  { items, next }: PolarPage,
  page: number,
  until: Date,
): Promise<WalkedPage> {
  const { database, polar, fetchPauseMs } = comparing;
  const em = database.fork();
  const ids = items.map(({ id }) => id);
  await rememberUnpaidOrders(em, run, ids);
  if (next !== null) return { seen: items.length, findings: [], next };
  const settled = await fetchSettledOrders(em, polar, run, fetchPauseMs);
  const findings = await compare(comparing, run, 'orders', settled.items, until);
  await forgetSettledOrders(em, run, settled.items, until);
  return { seen: items.length, findings, next: settled.more ? page + 1 : null };
}

async function compare(
  { database, polar, fetchPauseMs }: Comparing,
  run: Run,
  kind: Exclude<Walked, 'unpaid_orders'>,
  items: readonly { id: string }[],
  until: Date,
): Promise<ReconciliationFinding[]> {
  const found = await findDifferences(database.fork(), polar, kind, items, {
    until,
    fetchPauseMs,
  });
  const findings: ReconciliationFinding[] = found.unreadable.map((one) => ({
    state: 'unreadable',
    what: `one of Polar’s ${one.kind}, ${one.id}: ${one.what}`,
    teamId: null,
    inboxId: null,
    credits: '0',
  }));
  for (const difference of found.differences) {
    const finding = await storeRepair(database, difference, run);
    if (finding) findings.push(finding);
  }
  return findings;
}
