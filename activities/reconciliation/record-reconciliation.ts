import type { Database } from '../../database/connection.ts';
import type { ReconciliationStatus } from '../../database/entities/reconciliation.ts';
import type { Run } from '../../reconciliation/reports.ts';
import { recordReconciliation as record } from '../../reconciliation/reports.ts';
import type { ReconciliationFinding } from '../../reconciliation/store-repair.ts';

/** A run's report as the workflow carries it. Times in ISO 8601. */
export interface Report extends Run {
  finishedAt: string | null;
  status: ReconciliationStatus;
  counts: Record<string, number>;
  findings: ReconciliationFinding[];
}

/** Stores the report of a run, which is running or has ended. */
export function recordReconciliation(
  database: Database,
  { startedAt, finishedAt, findings, ...report }: Report,
): Promise<void> {
  return record(database.fork(), {
    ...report,
    startedAt: new Date(startedAt),
    finishedAt: finishedAt === null ? null : new Date(finishedAt),
    findings: findings.map((finding) => ({ ...finding })),
  });
}
