import { ApplicationFailure } from '@temporalio/activity';
import type { Database } from '../database/connection.ts';
import { deliverDueMessages as deliver } from '../outbox/deliver-due-messages.ts';
import type { PostMessage } from '../outbox/post-message.ts';
import type { SigningKeys } from '../outbox/seal-secret.ts';
import { heartbeating } from './heartbeating.ts';

/**
 * Makes the attempts of a webhook endpoint that are due.
 * @returns when its next attempt is due (ISO 8601); null if no message waits
 */
export async function deliverDueMessages(
  database: Database,
  post: PostMessage,
  signingKeys: SigningKeys,
  endpointId: string,
): Promise<string | null> {
  if (signingKeys.length === 0) {
    throw ApplicationFailure.create({
      type: 'webhooks_not_configured',
      message:
        'WEBHOOK_SIGNING_KEY is not set, and there are webhook endpoints: set it and restart the worker',
    });
  }
  return heartbeating(async (signal, onProgress) => {
    const nextAt = await deliver(database, endpointId, { post, signingKeys, signal, onProgress });
    return nextAt?.toISOString() ?? null;
  });
}
