import type { Polar } from '@polar-sh/sdk/2026-10';
import { type Database, readClock } from '../database/connection.ts';
import type { Walked } from '../reconciliation/polar-page.ts';
import type { Run } from '../reconciliation/reports.ts';
import { approveRepair } from './reconciliation/approve-repair.ts';
import { checkWebhookEndpoint } from './reconciliation/check-webhook-endpoint.ts';
import { reconcilePage } from './reconciliation/reconcile-page.ts';
import { type Report, recordReconciliation } from './reconciliation/record-reconciliation.ts';
import { startTeams } from './reconciliation/start-teams.ts';
import { throwAsFailure } from './throw-as-failure.ts';

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

/** The steps of reconciliation. Each may be repeated at any time: it finds what was stored or started before. */
export function createReconciliationActivities({
  database,
  polar,
  polarRequestsPerMinute,
  webhookUrl,
  startTeam,
}: ReconciliationDependencies) {
  const comparing = { database, polar, fetchPauseMs: 60_000 / (polarRequestsPerMinute / 2) };
  return {
    /** @returns now, by the one clock */
    readTime: async () => (await readClock(database.fork())).toISOString(),
    reconcilePage: (run: Run, kind: Walked, page: number, everything: boolean) =>
      throwAsFailure(() => reconcilePage(comparing, run, kind, page, everything)),
    checkWebhookEndpoint: () => throwAsFailure(() => checkWebhookEndpoint(polar, webhookUrl)),
    startTeams: (after: string | null) => startTeams(database, startTeam, after),
    approveRepair: (inboxId: string, by: string) => approveRepair(database, inboxId, by),
    recordReconciliation: (report: Report) => recordReconciliation(database, report),
  };
}
