import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { invalidCursor, type ListPage, type ListRange } from '../database/list-page.ts';
import { type MessageType, storeMessages } from './messages.ts';
import type { PostResult } from './post-message.ts';
import { findWebhookEndpoint, lockEndpoint } from './webhook-endpoints.ts';

export const deliveryStatuses = ['pending', 'delivered', 'failed'] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

/** A message for an endpoint, and its attempts. */
export interface WebhookDelivery {
  messageId: string;
  type: MessageType;
  teamId: string | null;
  /** When the cause of the message was committed. */
  at: Date;
  data: unknown;
  status: DeliveryStatus;
  attempts: number;
  /** Null if it is not pending. */
  nextAttemptAt: Date | null;
  lastAttemptAt: Date | null;
  lastStatus: number | null;
  lastError: string | null;
}

/** The pauses after each failed attempt, in milliseconds. The first attempt is made at once; after eight it has failed. */
const retryPausesMs = [5, 5 * 60, 30 * 60, 2 * 3_600, 5 * 3_600, 10 * 3_600, 10 * 3_600].map(
  (s) => s * 1_000,
);
/** Each pause is up to this part shorter or longer, so that the retries of many messages spread. */
const jitter = 0.1;
/** An endpoint for which every attempt fails for this long is disabled. */
const failingDays = 5;

/** The deliveries of an endpoint, newest first. @throws DomainError `unknown_webhook_endpoint`, `invalid_cursor` */
export async function listWebhookDeliveries(
  em: EntityManager,
  endpointId: string,
  { limit, cursor, status }: ListRange & { status?: DeliveryStatus | undefined },
): Promise<ListPage<WebhookDelivery>> {
  await findWebhookEndpoint(em, endpointId);
  const before = cursor === undefined ? null : readCursor(cursor);
  const rows = await em.execute<DeliveryRow[]>(
    `select ${columns}
       from webhook_deliveries d join outbox m on m.id = d.message_id
      where d.endpoint_id = ? and (?::bigint is null or d.seq < ?::bigint) and (?::text is null or d.status = ?::text)
      order by d.seq desc limit ?`,
    [endpointId, before, before, status ?? null, status ?? null, limit + 1],
  );
  const page = rows.slice(0, limit);
  return {
    data: page.map(toDelivery),
    nextCursor: rows.length > limit ? (page.at(-1)?.seq ?? null) : null,
  };
}

/**
 * Sends deliveries again, from the first attempt on: one message whatever its status, or all failed ones since a time.
 * @returns how many will be sent
 * @throws DomainError `unknown_webhook_endpoint`
 */
export async function replayWebhookDeliveries(
  em: EntityManager,
  endpointId: string,
  which: { messageId: string } | { since: Date },
): Promise<number> {
  await lockEndpoint(em, endpointId);
  const [condition, value] =
    'messageId' in which
      ? ['message_id = ?', which.messageId]
      : [`status = 'failed' and message_id in (select id from outbox where at >= ?)`, which.since];
  const rows = await em.execute(
    `update webhook_deliveries
        set status = 'pending', attempts = 0, next_attempt_at = billing_now(), signalled = false
      where endpoint_id = ? and ${condition}
     returning message_id`,
    [endpointId, value],
  );
  return rows.length;
}

/**
 * The first pending delivery of each team whose attempt is due, and when the next one is due after them. Others wait
 * for the previous message of their team.
 */
export async function readDueDeliveries(
  em: EntityManager,
  endpointId: string,
  limit: number,
): Promise<{ due: WebhookDelivery[]; nextAt: Date | null }> {
  const rows = await em.execute<(DeliveryRow & { is_due: boolean })[]>(
    `select ${columns}, d.next_attempt_at <= billing_now() as is_due
       from (select distinct on (order_key) * from webhook_deliveries
              where endpoint_id = ? and status = 'pending' order by order_key, seq) d
       join outbox m on m.id = d.message_id
      order by d.next_attempt_at, d.seq limit ?`,
    [endpointId, limit],
  );
  const later = rows.find(({ is_due }) => !is_due);
  return {
    due: rows.filter(({ is_due }) => is_due).map(toDelivery),
    nextAt: later ? new Date(Number(later.next_attempt_at)) : null,
  };
}

/**
 * Stores the result of an attempt. 2xx is a success. 410, or five days of failures, disable the endpoint and store a
 * `webhook_endpoint.disabled`. Run it in a transaction.
 */
export async function recordAttempt(
  em: EntityManager,
  endpointId: string,
  { messageId, attempts }: WebhookDelivery,
  result: PostResult,
): Promise<void> {
  const status = 'status' in result ? result.status : null;
  const error = 'error' in result ? result.error : null;
  const succeeded = status !== null && status >= 200 && status < 300;
  const pauseMs = retryPausesMs[attempts];
  const next = succeeded ? 'delivered' : pauseMs === undefined ? 'failed' : 'pending';
  // First the endpoint's lock, as everyone who changes both.
  await em.execute('select id from webhook_endpoints where id = ? for no key update', [endpointId]);
  await em.execute(
    `update webhook_deliveries
        set status = ?, attempts = ?, last_attempt_at = billing_now(), last_status = ?, last_error = ?,
            next_attempt_at = billing_now() + make_interval(secs => ?)
      where endpoint_id = ? and message_id = ? and status = 'pending'`,
    [next, attempts + 1, status, error, withJitter(pauseMs ?? 0) / 1_000, endpointId, messageId],
  );
  if (succeeded) {
    await em.execute(
      'update webhook_endpoints set failing_since = null where id = ? and failing_since is not null',
      [endpointId],
    );
    return;
  }
  const [endpoint] = await em.execute<{ url: string; reason: 'gone' | 'failing' | null; now: string }[]>(
    `update webhook_endpoints
        set failing_since = coalesce(failing_since, billing_now())
      where id = ? and disabled_at is null and deleted_at is null
     returning url, extract(epoch from billing_now()) * 1000 as now,
               case when ? then 'gone'
                    when failing_since <= billing_now() - make_interval(days => ${failingDays}) then 'failing' end as reason`,
    [endpointId, status === 410],
  );
  if (!endpoint?.reason) return;
  const { url, reason } = endpoint;
  const disabled = await em.execute(
    `update webhook_endpoints set disabled_at = billing_now(), disabled_reason = ?
      where id = ? and disabled_at is null returning id`,
    [reason, endpointId],
  );
  if (disabled.length === 0) return;
  const data = { endpointId, url, reason };
  await storeMessages(em, [{ type: 'webhook_endpoint.disabled', data }], new Date(Number(endpoint.now)));
}

function withJitter(pauseMs: number): number {
  return pauseMs * (1 - jitter + 2 * jitter * Math.random());
}

function readCursor(cursor: string): string {
  const parsed = z
    .string()
    .regex(/^\d{1,18}$/)
    .safeParse(cursor);
  if (parsed.success) return parsed.data;
  throw invalidCursor();
}

const columns = `d.message_id, m.type, m.team_id, extract(epoch from m.at) * 1000 as at, m.data, d.seq, d.status, d.attempts,
  extract(epoch from d.next_attempt_at) * 1000 as next_attempt_at, extract(epoch from d.last_attempt_at) * 1000 as last_attempt_at,
  d.last_status, d.last_error`;

interface DeliveryRow {
  message_id: string;
  type: MessageType;
  team_id: string | null;
  at: string;
  data: unknown;
  seq: string;
  status: DeliveryStatus;
  attempts: number;
  next_attempt_at: string;
  last_attempt_at: string | null;
  last_status: number | null;
  last_error: string | null;
}

function toDelivery(row: DeliveryRow): WebhookDelivery {
  return {
    messageId: row.message_id,
    type: row.type,
    teamId: row.team_id,
    at: new Date(Number(row.at)),
    data: row.data,
    status: row.status,
    attempts: row.attempts,
    nextAttemptAt: row.status === 'pending' ? new Date(Number(row.next_attempt_at)) : null,
    lastAttemptAt: row.last_attempt_at === null ? null : new Date(Number(row.last_attempt_at)),
    lastStatus: row.last_status,
    lastError: row.last_error,
  };
}
