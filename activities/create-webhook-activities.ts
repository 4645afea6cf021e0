import type { Database } from '../database/connection.ts';
import { createPostMessage } from '../outbox/post-message.ts';
import type { SigningKeys } from '../outbox/seal-secret.ts';
import { deliverDueMessages } from './deliver-due-messages.ts';

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
    deliverDueMessages: (endpointId: string) => deliverDueMessages(database, post, signingKeys, endpointId),
  };
}
