import type { Polar } from '@polar-sh/sdk/2026-10';
import { ensureWebhookEndpoint } from '../polar/webhook-endpoint.ts';

/**
 * Registers our webhook endpoint at the emulator, or finds the one of the last start. If our URL has changed (PORT),
 * the endpoint gets the new URL, and undelivered webhooks go there.
 *
 * @returns its signing secret, for POLAR_WEBHOOK_SECRET
 */
export async function registerWebhook(polar: Polar, url: string): Promise<string> {
  for await (const endpoint of polar.webhooks.iterListWebhookEndpoints()) {
    if (endpoint.url !== url && new URL(endpoint.url).pathname === new URL(url).pathname) {
      await polar.webhooks.updateWebhookEndpoint(endpoint.id, { url });
    }
  }
  const { secret } = await ensureWebhookEndpoint(polar, url);
  if (secret === null) throw new Error('The emulator does not show the secret of our webhook endpoint');
  return secret;
}
