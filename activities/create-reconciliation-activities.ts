import type { Polar } from '@polar-sh/sdk/2026-10';
import { type Database, readClock } from '../database/connection.ts';
import type { ReconciliationStatus } from '../database/entities/reconciliation.ts';
import { isRefusal } from '../domain-error.ts';
import * as teams from '../inbox/operator-decisions.ts';
import { log } from '../log.ts';
import { reviveWebhookEndpoint } from '../polar/webhook-endpoint.ts';
import { findSubscriptionConflicts } from '../reconciliation/find-conflicts.ts';
import { findDifferences } from '../reconciliation/find-differences.ts';
import { listTeamsToRun } from '../reconciliation/list-teams-to-run.ts';
import { listPage, type PolarPage, type Walked } from '../reconciliation/polar-page.ts';
import { recordReconciliation } from '../reconciliation/reports.ts';
import { type ReconciliationFinding, type Run, storeRepair } from '../reconciliation/store-repair.ts';
import {
  fetchSettledOrders,
  forgetSettledOrders,
  rememberUnpaidOrders,
} from '../reconciliation/unpaid-orders.ts';
import { throwAsFailure } from './failures.ts';

export type ReconciliationActivities = ReturnType<typeof createReconciliationActivities>;

export interface ReconciliationDependencies {
  database: Database;
  polar: Polar;
  /** The requests per minute that Polar allows us. Half of them are left to callers that wait for an answer. */
  polarRequestsPerMinute: number;
  /** The full URL of our webhook endpoint at Polar. Without it the endpoint is not checked. */
  webhookUrl?: string;
  /** Starts a team's workflow. Returns false if it already runs. */
  startTeam: (teamId: string) => Promise<boolean>;
}

/** The result of a page, and the next page. */
export interface WalkedPage {
  seen: number;
  findings: ReconciliationFinding[];
  next: number | null;
}

/** A run's report as the workflow carries it. Times in ISO 8601. */
export interface Report extends Run {
  finishedAt: string | null;
  status: ReconciliationStatus;
  counts: Record<string, number>;
  findings: ReconciliationFinding[];
}

/** How long a change is left to its webhook before reconciliation repairs it, in milliseconds. */
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

const teamsAtOnce = 10;

/** The activities of reconciliation. Each may be repeated at any time: it finds what was stored or started before. */
export function createReconciliationActivities({
  database,
  polar,
  polarRequestsPerMinute,
  webhookUrl,
  startTeam,
}: ReconciliationDependencies) {
  const fetchPauseMs = 60_000 / (polarRequestsPerMinute / 2);
  return {
    /** @returns now, by the one clock */
    readTime: async (): Promise<string> => (await readClock(database.fork())).toISOString(),

    /** Compares one page of Polar's objects with the ledger and puts the differences into the teams' inboxes. */
    reconcilePage: (run: Run, kind: Walked, page: number, everything: boolean): Promise<WalkedPage> =>
      throwAsFailure(async () => {
        const days = everything ? null : recentDays[kind];
        const createdAfter = days === null ? null : new Date(Date.parse(run.startedAt) - days * dayMs);
        const { items, next } = await listPage(polar, kind, { page, createdAfter });
        const until = new Date(Date.parse(run.startedAt) - webhookDelayMs);
        if (kind === 'unpaid_orders') return reconcileUnpaid(run, { items, next }, page, until);
        const findings = await compare(run, kind, items, until);
        if (kind === 'subscriptions' && next === null)
          findings.push(...(await findSubscriptionConflicts(database.fork())));
        return { seen: items.length, findings, next };
      }),

    /** @returns the problem of our webhook endpoint; null if there was none */
    checkWebhookEndpoint: (): Promise<ReconciliationFinding | null> =>
      throwAsFailure(async () => {
        if (webhookUrl === undefined) return null;
        const { state, refusedEvents } = await reviveWebhookEndpoint(polar, webhookUrl);
        if (refusedEvents.length > 0) log.warn({ refusedEvents }, 'Polar does not know some event types');
        if (state === 'enabled') return null;
        const nobodys = { teamId: null, inboxId: null, credits: '0' };
        return state === 'turned on'
          ? {
              state: 'repaired',
              what: 'Polar had disabled our webhook endpoint; it is enabled again',
              ...nobodys,
            }
          : { state: 'not_repaired', what: `Polar has no webhook endpoint ${webhookUrl}`, ...nobodys };
      }),

    /**
     * Of the next teams that need a running workflow (expiring credits, a subscription, future drips), starts those
     * whose workflow does not run.
     *
     * @param after  the last team of the previous batch
     */
    startTeams: async (
      after: string | null,
    ): Promise<{ checked: number; started: string[]; next: string | null }> => {
      const ids = await listTeamsToRun(database.fork(), after);
      const started: string[] = [];
      for (let first = 0; first < ids.length; first += teamsAtOnce) {
        const batch = ids.slice(first, first + teamsAtOnce);
        const answers = await Promise.all(batch.map(async (id) => ((await startTeam(id)) ? id : null)));
        started.push(...answers.filter((id) => id !== null));
      }
      return { checked: ids.length, started, next: ids.at(-1) ?? null };
    },

    /** @returns false if the repair no longer waits for an approval */
    approveRepair: async (inboxId: string, by: string): Promise<boolean> => {
      try {
        const decider = { by, actor: `operator:${by}` };
        await database.transaction((em) => teams.approveRepair(em, inboxId, decider));
        return true;
      } catch (error) {
        if (isRefusal(error)) return false;
        throw error;
      }
    },

    recordReconciliation: ({ startedAt, finishedAt, findings, ...report }: Report): Promise<void> =>
      recordReconciliation(database.fork(), {
        ...report,
        startedAt: new Date(startedAt),
        finishedAt: finishedAt === null ? null : new Date(finishedAt),
        findings: findings.map((finding) => ({ ...finding })),
      }),
  };

  /** Stores the unpaid orders of a page. After the last page, compares those that are no longer unpaid. */
  async function reconcileUnpaid(
    run: Run,
    { items, next }: PolarPage,
    page: number,
    until: Date,
  ): Promise<WalkedPage> {
    const em = database.fork();
    const ids = items.map(({ id }) => id);
    await rememberUnpaidOrders(em, run, ids);
    if (next !== null) return { seen: items.length, findings: [], next };
    const settled = await fetchSettledOrders(em, polar, run, fetchPauseMs);
    const findings = await compare(run, 'orders', settled.items, until);
    await forgetSettledOrders(em, run, settled.items, until);
    return { seen: items.length, findings, next: settled.more ? page + 1 : null };
  }

  async function compare(
    run: Run,
    kind: Exclude<Walked, 'unpaid_orders'>,
    items: readonly { id: string }[],
    until: Date,
  ): Promise<ReconciliationFinding[]> {
    const found = await findDifferences(database.fork(), polar, kind, items, { until, fetchPauseMs });
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
}
