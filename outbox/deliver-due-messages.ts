import { Webhook } from 'standardwebhooks';
import type { Database } from '../database/connection.ts';
import { hasCode } from '../domain-error.ts';
import type { PostMessage } from './post-message.ts';
import type { SigningKeys } from './seal-secret.ts';
import { readDueDeliveries, recordAttempt, type WebhookDelivery } from './webhook-deliveries.ts';
import { findWebhookEndpoint, readWebhookSecrets } from './webhook-endpoints.ts';
import { workTogether } from './work-together.ts';

/** Maximum number of concurrent posts to one endpoint. */
const maxPosts = 10;
const deliveriesPerBatch = 200;
/** It returns after about this time, so that no activity runs for hours. */
const budgetMs = 60_000;

/**
 * Makes every attempt of an endpoint that is due, up to ten at once, and of each team one after the other. One process
 * at a time runs it for an endpoint. If it dies between a post and its record, the message is sent again with the same
 * id.
 *
 * @returns when the next attempt is due; null if no message waits, or the endpoint is disabled or deleted
 */
export async function deliverDueMessages(
  database: Database,
  endpointId: string,
  {
    post,
    signingKeys,
    signal,
    onProgress,
  }: {
    post: PostMessage;
    signingKeys: SigningKeys;
    signal: AbortSignal;
    onProgress?: (posted: number) => void;
  },
): Promise<Date | null> {
  const startedAt = performance.now();
  let posted = 0;
  for (;;) {
    const em = database.fork();
    const endpoint = await findWebhookEndpoint(em, endpointId).catch((error: unknown) => {
      if (hasCode(error, 'unknown_webhook_endpoint')) return null;
      throw error;
    });
    if (!endpoint || endpoint.disabledAt) return null;
    const { due, nextAt } = await readDueDeliveries(em, endpointId, deliveriesPerBatch);
    if (due.length === 0) return nextAt;
    if (signal.aborted || performance.now() - startedAt > budgetMs) return due[0]?.nextAttemptAt ?? null;
    const secrets = await readWebhookSecrets(em, signingKeys, endpointId);
    await workTogether(due, { atOnce: maxPosts, mayGoOn: () => !signal.aborted }, async (delivery) => {
      const body = bodyOf(delivery);
      const result = await post(endpoint.url, sign(secrets, delivery.messageId, body), body);
      await database.transaction((tx) => recordAttempt(tx, endpointId, delivery, result));
      posted += 1;
      onProgress?.(posted);
    });
  }
}

/** The same bytes at each attempt. */
function bodyOf({ type, at, data }: WebhookDelivery): string {
  return JSON.stringify({ type, timestamp: at.toISOString(), data });
}

/** The headers of Standard Webhooks, with one signature for each secret. The timestamp is wall time, as receivers check. */
function sign(secrets: readonly string[], id: string, body: string): Record<string, string> {
  const at = new Date();
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  };
}
