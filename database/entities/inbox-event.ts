import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * What has become of an inbox row:
 * `received` to be handled · `handled` applied (also: found to change nothing) · `parked` cannot be applied
 * now: retried a bounded number of times, then it waits for an operator · `ignored` not of use to billing ·
 * `dismissed` by an operator: never applied.
 */
export const inboxStatuses = ['received', 'handled', 'parked', 'ignored', 'dismissed'] as const;
export type InboxStatus = (typeof inboxStatuses)[number];
export const inboxSources = ['sign_up', 'polar', 'operator'] as const;
export type InboxSource = (typeof inboxSources)[number];

/** What an operator decided about a parked event. `at` in ISO 8601. */
export interface InboxDecision {
  at: string;
  by: string;
  decision: 'approved' | 'assigned' | 'dismissed';
  reason: string | null;
  /** The team and the catalog key that the event was assigned to. */
  teamId: string | null;
  product: string | null;
}

/** Everything that a team's workflow must hear; written in the same transaction as its cause. */
export const InboxEvent = defineEntity({
  name: 'InboxEvent',
  tableName: 'inbox',
  properties: {
    id: p.uuid().primary(),
    /** Null while no known team could be found for the event. */
    teamId: p.uuid().strictNullable(),
    source: p.text().$type<InboxSource>(),
    /** `team.created`, Polar's event type, or an operator's request. */
    type: p.text(),
    /** The sender's id of the message (`webhook-id`), unique: a message that comes again is not stored again. */
    externalId: p.text().strictNullable(),
    payload: p.json<unknown>(),
    /** When it happened, by the sender's clock. */
    occurredAt: p.datetime(),
    receivedAt: p.datetime(),
    status: p.text().$type<InboxStatus>(),
    /** What became of it, in plain words; for a parked event, why and what to do. */
    outcome: p.text().strictNullable(),
    /** Stable code of why it is parked, e.g. `unknown_product`. */
    parkedCode: p.text().strictNullable(),
    /** How often it was applied or parked, and how often it was signalled. */
    attempts: p.integer(),
    signals: p.integer(),
    /**
     * When the relay signals it (again); null for a parked event that waits for an operator. By wall time: this is about
     * processes, not about credits.
     */
    nextSignalAt: p.datetime().strictNullable(),
    handledAt: p.datetime().strictNullable(),
    /** The catalog key that an operator assigned to this event, in place of what Polar's product says. */
    assignedProduct: p.text().strictNullable(),
    /** What operators decided, oldest first. */
    decisions: p.json<InboxDecision[]>().default([]),
  },
});

export type InboxEvent = InferEntity<typeof InboxEvent>;
