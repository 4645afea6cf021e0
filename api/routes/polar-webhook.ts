import { z } from 'zod';
import type { Database } from '../../database/connection.ts';
import { hasCode } from '../../domain-error.ts';
import {
  type NewInboxEvent,
  storeInboxEvent,
  wakeEventsOfCustomer,
  wakeEventsOfOrder,
} from '../../inbox/inbox.ts';
import type { WaitingEvent } from '../../inbox/waiting-event.ts';
import { log } from '../../log.ts';
import { customerChangeEvents, findUnreadable, subjectOf } from '../../polar/events.ts';
import { foreignRecord, isForeign } from '../../polar/foreign-event.ts';
import { type ResolvedTeam, resolveEventTeam } from '../../polar/resolve-team.ts';
import { readSignedHeaders, type VerifiedWebhook, verifyWebhook } from '../../polar/verify-webhook.ts';
import { defineRoute } from '../define-route.ts';

export const polarWebhookRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/webhooks/polar',
    tag: 'Webhooks',
    operationId: 'receivePolarWebhook',
    summary: 'Receive a webhook of Polar: verify it, store it, answer',
    description:
      'Signed as Standard Webhooks describes. The team’s workflow applies the event after the answer. The same message again gets the same answer and is stored once.',
    access: 'public',
    rawBody: {
      admit(headers) {
        try {
          readSignedHeaders(headers);
        } catch (error) {
          throw logRefusal(error);
        }
      },
    },
    // Polar sends customers with thousands of grants, and disables the endpoint after ten errors in a row.
    bodyLimitBytes: 8_388_608,
    request: {},
    answers: { 202: z.strictObject({ id: z.guid(), stored: z.boolean() }).meta({ id: 'StoredWebhook' }) },
    refusals: ['unreadable_event', 'bad_signature'],
    async handle(_request, { dependencies: { database, temporal, webhookSecrets }, headers, bytes }) {
      const webhook = await verifyWebhook(bytes, headers, webhookSecrets).catch((error: unknown) => {
        throw logRefusal(error);
      });
      const { id, stored, teamId, event } = await storeWebhook(database, webhook);
      if (teamId !== null) temporal.signal(teamId, event);
      return { status: 202, body: { id, stored } };
    },
  }),
];

/** One line per minute and kind of mismatch, because anyone may send webhooks. */
const quietMs = 60_000;
const lastLogged = new Map<unknown, number>();

/** @returns the error to throw */
function logRefusal(error: unknown): unknown {
  if (!hasCode(error, 'bad_signature')) return error;
  const { mismatch } = error.details;
  if (performance.now() - (lastLogged.get(mismatch) ?? Number.NEGATIVE_INFINITY) < quietMs) return error;
  lastLogged.set(mismatch, performance.now());
  log.warn(
    { mismatch },
    `${error.message}. If Polar sent it, check POLAR_WEBHOOK_SECRET and this machine’s clock`,
  );
  return error;
}

/**
 * Stores the event under its `webhook-id`. An object that is not ours is stored once.
 *
 * @returns `teamId`: the team whose workflow must be signalled now; null if the event is already known, not used, or
 *   parked until its team is found
 */
export async function storeWebhook(
  database: Database,
  { webhookId, type, occurredAt, payload }: VerifiedWebhook,
): Promise<{ id: string; stored: boolean; teamId: string | null; event: WaitingEvent }> {
  const ignored = subjectOf(type) === 'unused';
  const resolved = await resolveEventTeam(database, type, payload.data);
  const teamId = 'teamId' in resolved ? resolved.teamId : null;
  const message = { teamId, source: 'polar', type, externalId: webhookId, payload, occurredAt } as const;
  const unreadable = findUnreadable(type, payload.data) !== null;
  if ('unknown' in resolved && !unreadable && (await isForeign(database.fork(), type, payload.data))) {
    const { key, payload: ids } = foreignRecord(type, payload.data);
    const outcome = 'Neither its team nor its product is ours';
    const record = { ...message, externalId: key, payload: ids, outcome, status: 'ignored' } as const;
    return { ...(await storeInboxEvent(database, record)), teamId: null };
  }
  const { id, stored, event } = await storeInboxEvent(database, {
    ...message,
    status: ignored ? 'ignored' : 'received',
    ...parkedFor(resolved, type, payload.data),
  });
  if (stored) await wakeParked(database, type, payload.data);
  return { id, stored, event, teamId: stored && !ignored ? teamId : null };
}

/** Retries the parked events that this one may settle. After a crash before it they wait for their next retry. */
async function wakeParked(database: Database, type: string, data: unknown): Promise<void> {
  const ids = idsSchema.safeParse(data).data;
  if (!ids) return;
  if (isCustomerChange(type)) await wakeEventsOfCustomer(database, ids.id);
  else if (type === 'order.refunded' || subjectOf(type) === 'refund')
    await wakeEventsOfOrder(database, ids.order_id ?? ids.id);
}

const idsSchema = z.object({ id: z.string(), order_id: z.string().nullish() });

function isCustomerChange(type: string): boolean {
  return customerChangeEvents.some((changes) => changes === type);
}

/** The reason to park the event at once, except that its team is not known. */
function parkedFor(resolved: ResolvedTeam, type: string, data: unknown): Pick<NewInboxEvent, 'parked'> {
  if ('doubtful' in resolved) return { parked: { code: 'doubtful_team', why: resolved.doubtful } };
  const unreadable = 'unknown' in resolved ? findUnreadable(type, data) : null;
  return unreadable ? { parked: { code: unreadable.code, why: unreadable.message } } : {};
}
