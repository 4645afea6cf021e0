import type { Polar } from '@polar-sh/sdk/2026-10';
import { ensureWebhookEndpoint } from '../polar/webhook-endpoint.ts';

/**
 * Registers our webhook endpoint at the emulator, or finds the one of the last start. Where we had another
 * address then (PORT), the same endpoint gets the new one: what is still to be delivered goes there.
 *
 * @returns the secret that it signs with, for POLAR_WEBHOOK_SECRET.
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
