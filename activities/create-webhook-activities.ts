import { ApplicationFailure } from '@temporalio/activity';
import type { Database } from '../database/connection.ts';
import { deliverDueMessages } from '../outbox/deliver-due-messages.ts';
import { createPostMessage } from '../outbox/post-message.ts';
import type { SigningKeys } from '../outbox/seal-secret.ts';
import { heartbeating } from './heartbeating.ts';

/** How messages are sent to other systems. */
export interface WebhookSettings {
  signingKeys: SigningKeys;
  /** Addresses and CIDR ranges that are allowed although they are private. */
  allowPrivate: readonly string[];
}

export type WebhookActivities = ReturnType<typeof createWebhookActivities>;

/** The steps of the workflow of a webhook endpoint. */
export function createWebhookActivities(database: Database, { signingKeys, allowPrivate }: WebhookSettings) {
  const post = createPostMessage({ allowPrivate });
  return {
    /**
     * Makes the attempts of a webhook endpoint that are due.
     * @returns when its next attempt is due (ISO 8601); null if no message waits
     */
    async deliverDueMessages(endpointId: string): Promise<string | null> {
      if (signingKeys.length === 0) {
        throw ApplicationFailure.create({
          type: 'webhooks_not_configured',
          message:
            'WEBHOOK_SIGNING_KEY is not set, and there are webhook endpoints: set it and restart the worker',
        });
      }
      return heartbeating(async (signal, onProgress) => {
        const rules = { post, signingKeys, signal, onProgress };
        return (await deliverDueMessages(database, endpointId, rules))?.toISOString() ?? null;
      });
    },
  };
}
