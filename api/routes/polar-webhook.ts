import { z } from 'zod';
import type { Database } from '../../database/connection.ts';
import { storeInboxEvent } from '../../inbox/inbox.ts';
import { readTeamRef, subjectOf } from '../../polar/events.ts';
import { resolveTeam } from '../../polar/resolve-team.ts';
import { type VerifiedWebhook, verifyWebhook } from '../../polar/verify-webhook.ts';
import { defineRoute } from '../define-route.ts';

export const polarWebhookRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/webhooks/polar',
    tag: 'Webhooks',
    summary: 'Polar’s door: verified, stored, answered; applied by the team’s workflow',
    description: 'Standard Webhooks. The same message again answers the same and is stored once.',
    access: 'public',
    rawBody: true,
    request: {},
    answers: { 202: z.strictObject({ id: z.guid(), stored: z.boolean() }) },
    refusals: { 400: 'unreadable_event', 401: 'bad_signature', 503: 'database_unavailable' },
    async handle(_request, { dependencies: { database, temporal, webhookSecrets }, headers, bytes }) {
      const webhook = await verifyWebhook(bytes, headers, webhookSecrets);
      const { id, stored, teamId } = await storeWebhook(database, webhook);
      if (teamId !== null) temporal.signal(teamId, id);
      return { status: 202, body: { id, stored } };
    },
  }),
];

/**
 * Stores the event under its `webhook-id`. `teamId`: the team whose workflow is to hear of it now; null for what is
 * known already, not used, or parked until a team is found.
 */
export async function storeWebhook(
  database: Database,
  { webhookId, type, occurredAt, payload }: VerifiedWebhook,
): Promise<{ id: string; stored: boolean; teamId: string | null }> {
  const ignored = subjectOf(type) === 'unused';
  const em = database.fork();
  const resolved = await resolveTeam(em, readTeamRef(type, payload.data));
  const teamId = 'teamId' in resolved ? resolved.teamId : null;
  const { id, stored } = await storeInboxEvent(em, {
    teamId,
    source: 'polar',
    type,
    externalId: webhookId,
    payload,
    occurredAt,
    status: ignored ? 'ignored' : 'received',
    ...('doubtful' in resolved ? { parked: { code: 'doubtful_team', why: resolved.doubtful } } : {}),
  });
  return { id, stored, teamId: stored && !ignored ? teamId : null };
}
