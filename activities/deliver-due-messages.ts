import { ApplicationFailure } from '@temporalio/activity';
import type { Database } from '../database/connection.ts';
import { deliverDueMessages as deliver } from '../outbox/deliver-due-messages.ts';
import type { PostMessage } from '../outbox/post-message.ts';
import { heartbeating } from './heartbeating.ts';

/** Whether the endpoint still exists, and when its next attempt is due (ISO 8601). */
export interface DeliveryRound {
  deleted: boolean;
  nextAt: string | null;
}

/** Makes the attempts of a webhook endpoint that are due. */
export async function deliverDueMessages(
  database: Database,
  post: PostMessage,
  signingKey: Buffer | undefined,
  endpointId: string,
): Promise<DeliveryRound> {
  if (!signingKey) {
    throw ApplicationFailure.create({
      type: 'webhooks_not_configured',
      message:
        'WEBHOOK_SIGNING_KEY is not set, and there are webhook endpoints: set it and restart the worker',
    });
  }
  return heartbeating(async (signal, onProgress) => {
    const { deleted, nextAt } = await deliver(database, endpointId, { post, signingKey, signal, onProgress });
    return { deleted, nextAt: nextAt?.toISOString() ?? null };
  });
}
