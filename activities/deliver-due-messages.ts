import { ApplicationFailure } from '@temporalio/activity';
import type { Database } from '../database/connection.ts';
import * as outbox from '../outbox/deliver-due-messages.ts';
import { createPostMessage } from '../outbox/post-message.ts';
import { heartbeating } from './maintenance/heartbeating.ts';

/** How messages are sent to other systems. */
export interface WebhookSettings {
  /** 32 bytes, from WEBHOOK_SIGNING_KEY; undefined if it is not set. */
  signingKey: Buffer | undefined;
  /** Addresses and CIDR ranges that are allowed although they are private. */
  allowPrivate: readonly string[];
}

/** What the workflow of an endpoint waits for next. Plain JSON. */
export interface DeliveryRound {
  deleted: boolean;
  nextAt: string | null;
}

export type WebhookActivities = ReturnType<typeof createWebhookActivities>;

/** The activities of the workflow of a webhook endpoint. */
export function createWebhookActivities(database: Database, { signingKey, allowPrivate }: WebhookSettings) {
  const post = createPostMessage({ allowPrivate });
  return {
    deliverDueMessages: (endpointId: string): Promise<DeliveryRound> => {
      if (!signingKey) {
        throw ApplicationFailure.create({
          type: 'webhooks_not_configured',
          message:
            'WEBHOOK_SIGNING_KEY is not set, and there are webhook endpoints: set it and restart the worker',
        });
      }
      return heartbeating(async (signal, onProgress) => {
        const round = await outbox.deliverDueMessages(database, endpointId, {
          ...{ post, signingKey, signal, onProgress },
        });
        return { deleted: round.deleted, nextAt: round.nextAt?.toISOString() ?? null };
      });
    },
  };
}
