import type { models, Polar } from '@polar-sh/sdk/2026-10';
import { callPolar, readAll } from './client.ts';
import { usedEvents } from './events.ts';

/**
 * Makes sure that Polar sends us every event that billing uses: finds our endpoint by its address or makes it, adds
 * event types that are missing, and turns it on again where Polar has turned it off (after ten failed events in a
 * row; events of that time are never sent: reconciliation finds them).
 *
 * @param url  the full address of `POST /v1/webhooks/polar`
 * @returns `secret` is what it signs with; null where Polar does not show it. Never log it.
 * @throws DomainError as `callPolar`
 */
export async function ensureWebhookEndpoint(
  polar: Polar,
  url: string,
): Promise<{ id: string; secret: string | null; enabled: boolean }> {
  const known = await findEndpoint(polar, url);
  const endpoint = known ? await bringUpToDate(polar, known) : await makeEndpoint(polar, url);
  return { id: endpoint.id, secret: endpoint.secret || null, enabled: endpoint.enabled };
}

/**
 * Turns our endpoint on again where it is off, and adds event types that are missing. One that is not there is not made: it
 * would sign with a secret that nobody has been told.
 *
 * @returns what was found
 */
export async function reviveWebhookEndpoint(
  polar: Polar,
  url: string,
): Promise<'enabled' | 'turned on' | 'missing'> {
  const known = await findEndpoint(polar, url);
  if (!known) return 'missing';
  await bringUpToDate(polar, known);
  return known.enabled ? 'enabled' : 'turned on';
}

const wanted = Object.values(usedEvents).flat();
const apiVersion = '2026-10';

async function findEndpoint(polar: Polar, url: string): Promise<models.WebhookEndpoint | undefined> {
  const all = await callPolar('read', () => readAll(polar.webhooks.iterListWebhookEndpoints({ limit: 100 })));
  return all.find((endpoint) => endpoint.url === url);
}

async function makeEndpoint(polar: Polar, url: string): Promise<models.WebhookEndpoint> {
  return callPolar(
    'change',
    () =>
      polar.webhooks.createWebhookEndpoint({
        url,
        name: 'Waveloom Billing',
        format: 'raw',
        api_version: apiVersion,
        events: wanted,
      }),
    () => findEndpoint(polar, url),
  );
}

async function bringUpToDate(
  polar: Polar,
  endpoint: models.WebhookEndpoint,
): Promise<models.WebhookEndpoint> {
  const missing = wanted.filter((type) => !endpoint.events.includes(type));
  if (endpoint.enabled && missing.length === 0) return endpoint;
  return callPolar('change', () =>
    polar.webhooks.updateWebhookEndpoint(endpoint.id, {
      enabled: true,
      events: [...endpoint.events, ...missing],
    }),
  );
}
