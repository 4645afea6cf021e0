import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * The state of a run: `waiting` for an operator's approval; `failed`, with the reason in its last finding. The next
 * run starts from the beginning.
 */
export const reconciliationStatuses = ['running', 'waiting', 'completed', 'failed'] as const;
export type ReconciliationStatus = (typeof reconciliationStatuses)[number];

/** One run of the reconciliation with Polar: what was compared, the differences, and their results. */
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
    /** The first differences. `counts` counts all of them. */
    findings: p.json<Record<string, unknown>[]>(),
  },
});

export type Reconciliation = InferEntity<typeof Reconciliation>;
