import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** What a run is at: `waiting` for an operator's approval; `failed` says why in its last finding, the next run begins anew. */
export const reconciliationStatuses = ['running', 'waiting', 'completed', 'failed'] as const;
export type ReconciliationStatus = (typeof reconciliationStatuses)[number];

/** One run of the reconciliation with Polar: what was looked at, what differed and what became of that. */
export const Reconciliation = defineEntity({
  name: 'Reconciliation',
  tableName: 'reconciliations',
  properties: {
    /** Temporal's id of the workflow's (first) run. */
    id: p.uuid().primary(),
    startedAt: p.datetime(),
    finishedAt: p.datetime().strictNullable(),
    status: p.text().$type<ReconciliationStatus>(),
    counts: p.json<Record<string, number>>(),
    /** The first of what differed; `counts` counts all of it. */
    findings: p.json<Record<string, unknown>[]>(),
  },
});

export type Reconciliation = InferEntity<typeof Reconciliation>;
