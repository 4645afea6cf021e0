import type { models, Polar } from '@polar-sh/sdk/2026-10';
import { hasCode } from '../domain-error.ts';
import { callPolar, readAll } from './client.ts';
import { customerChangeEvents, usedEvents } from './events.ts';

/**
 * Makes sure that Polar sends us every event that billing uses: finds our endpoint by its URL or creates it, adds
 * missing event types, and enables it if Polar has disabled it (after ten failed events in a row; the events of that
 * time are never sent, so reconciliation finds them).
 *
 * @param url  the full URL of `POST /v1/webhooks/polar`
 * @returns `secret` signs its webhooks; null if Polar does not show it. Never log it.
 * @throws DomainError as `callPolar`
 */
export async function ensureWebhookEndpoint(
  polar: Polar,
  url: string,
): Promise<{ id: string; secret: string | null; enabled: boolean }> {
  const known = await findEndpoint(polar, url);
  const endpoint = known ? (await bringUpToDate(polar, known)).endpoint : await makeEndpoint(polar, url);
  return { id: endpoint.id, secret: endpoint.secret || null, enabled: endpoint.enabled };
}

/**
 * Enables our endpoint if it is disabled, and adds missing event types. If there is no endpoint, none is created,
 * because nobody would know its new secret.
 *
 * @returns what was found, and the event types that Polar refuses because it does not know them (yet)
 */
export async function reviveWebhookEndpoint(
  polar: Polar,
  url: string,
): Promise<{ state: 'enabled' | 'turned_on' | 'missing'; refusedEvents: string[] }> {
  const known = await findEndpoint(polar, url);
  if (!known) return { state: 'missing', refusedEvents: [] };
  const { refusedEvents } = await bringUpToDate(polar, known);
  return { state: known.enabled ? 'enabled' : 'turned_on', refusedEvents };
}

const wanted = [...Object.values(usedEvents).flat(), ...customerChangeEvents];
const apiVersion = '2026-10';

async function findEndpoint(polar: Polar, url: string): Promise<models.WebhookEndpoint | undefined> {
  const all = await callPolar('read', () => readAll(polar.webhooks.iterListWebhookEndpoints({ limit: 100 })));
  return all.find((endpoint) => endpoint.url === url);
}

async function makeEndpoint(polar: Polar, url: string): Promise<models.WebhookEndpoint> {
  const { done } = await withoutRefusedEvents(wanted, (events) =>
    callPolar(
      'change',
      () =>
        polar.webhooks.createWebhookEndpoint({
          url,
          name: 'Waveloom Billing',
          format: 'raw',
          api_version: apiVersion,
          events,
        }),
      () => findEndpoint(polar, url),
    ),
  );
  return done;
}

/**
 * Enables the endpoint first: if a change names one event type that Polar does not know, Polar refuses the whole
 * change.
 */
async function bringUpToDate(
  polar: Polar,
  known: models.WebhookEndpoint,
): Promise<{ endpoint: models.WebhookEndpoint; refusedEvents: string[] }> {
  const change = (changes: models.WebhookEndpointUpdate) =>
    callPolar('change', () => polar.webhooks.updateWebhookEndpoint(known.id, changes));
  const endpoint = known.enabled ? known : await change({ enabled: true });
  const missing = wanted.filter((type) => !endpoint.events.includes(type));
  if (missing.length === 0) return { endpoint, refusedEvents: [] };
  const { done, refusedEvents } = await withoutRefusedEvents([...endpoint.events, ...missing], (events) =>
    events.every((type) => endpoint.events.includes(type)) ? Promise.resolve(endpoint) : change({ events }),
  );
  return { endpoint: done, refusedEvents };
}

/**
 * Sends a list of event types. Each type that Polar's error names (`body.events.3`) is left out, and the others are
 * sent again.
 * @throws DomainError as `callPolar`, also if the error names none
 */
async function withoutRefusedEvents<T>(
  all: readonly models.WebhookEventType[],
  send: (events: models.WebhookEventType[]) => Promise<T>,
): Promise<{ done: T; refusedEvents: string[] }> {
  const refused = new Set<string>();
  for (;;) {
    const events = all.filter((type) => !refused.has(type));
    try {
      return { done: await send(events), refusedEvents: [...refused] };
    } catch (error) {
      const named = refusedIndexes(error).flatMap((index) => events[index] ?? []);
      if (named.length === 0) throw error;
      for (const type of named) refused.add(type);
    }
  }
}

function refusedIndexes(error: unknown): number[] {
  if (!hasCode(error, 'polar_refused')) return [];
  const { fields } = error.details;
  if (!Array.isArray(fields)) return [];
  return fields.flatMap((field) => {
    const [, index] = /^body\.events\.(\d+)$/.exec(String(field)) ?? [];
    return index === undefined ? [] : [Number(index)];
  });
}
