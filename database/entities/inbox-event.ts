import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * The state of an inbox row: `received` to be handled · `handled` applied, or nothing had to change · `parked` cannot
 * be applied now: retried a limited number of times, then it waits for an operator · `ignored` not needed by billing ·
 * `dismissed` by an operator: never applied.
 */
export const inboxStatuses = ['received', 'handled', 'parked', 'ignored', 'dismissed'] as const;
export type InboxStatus = (typeof inboxStatuses)[number];
export const inboxSources = ['sign_up', 'polar', 'operator'] as const;
export type InboxSource = (typeof inboxSources)[number];

/** An operator's decision about a parked event. `at` in ISO 8601. */
export interface InboxDecision {
  at: string;
  by: string;
  decision: 'approved' | 'assigned' | 'dismissed';
  reason: string | null;
  /** The team and the catalog key that the event was assigned to. */
  teamId: string | null;
  product: string | null;
}

/** An event for a team's workflow, written in the same transaction as the change that causes it. */
export const InboxEvent = defineEntity({
  name: 'InboxEvent',
  tableName: 'inbox',
  readonly: true, // changed by SQL only, so that a flush need not compare its payload
  properties: {
    id: p.uuid().primary(),
    /** Null while no known team was found for the event. */
    teamId: p.uuid().strictNullable(),
    source: p.text().$type<InboxSource>(),
    /** `team.created`, Polar's event type, or an operator's request. */
    type: p.text(),
    /** The sender's id of the message (`webhook-id`), unique: a repeated message is not stored again. */
    externalId: p.text().strictNullable(),
    payload: p.json<unknown>(),
    /** When it happened, by the sender's clock. */
    occurredAt: p.datetime(),
    receivedAt: p.datetime(),
    status: p.text().$type<InboxStatus>(),
    /** What was done, as a sentence. For a parked event, why it is parked and what to do. */
    outcome: p.text().strictNullable(),
    /** The stable code of the reason for parking, e.g. `unknown_product`. */
    parkedCode: p.text().strictNullable(),
    /** The number of attempts to apply it, and the number of signals. */
    attempts: p.integer(),
    signals: p.integer(),
    /**
     * When the relay signals it (again); null for a parked event that waits for an operator. Wall time, because it
     * concerns processes, not credits.
     */
    nextSignalAt: p.datetime().strictNullable(),
    handledAt: p.datetime().strictNullable(),
    /** The catalog key that an operator assigned to this event. It replaces the one of Polar's product. */
    assignedProduct: p.text().strictNullable(),
    /** The operators' decisions, oldest first. */
    decisions: p.json<InboxDecision[]>().default([]),
  },
});

export type InboxEvent = InferEntity<typeof InboxEvent>;
