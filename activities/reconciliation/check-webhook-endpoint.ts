import type { Polar } from '@polar-sh/sdk/2026-10';
import { log } from '../../log.ts';
import { reviveWebhookEndpoint } from '../../polar/webhook-endpoint.ts';
import type { ReconciliationFinding } from '../../reconciliation/store-repair.ts';

/**
 * Enables our webhook endpoint again if Polar disabled it.
 *
 * @param url  the full URL of the endpoint; without it nothing is checked
 * @returns the problem of the endpoint; null if there was none
 */
export async function checkWebhookEndpoint(
  polar: Polar,
  url: string | undefined,
): Promise<ReconciliationFinding | null> {
  if (url === undefined) return null;
  const { state, refusedEvents } = await reviveWebhookEndpoint(polar, url);
  if (refusedEvents.length > 0) log.warn({ refusedEvents }, 'Polar does not know some event types');
  if (state === 'enabled') return null;
  const noTeam = { teamId: null, inboxId: null, credits: '0' };
  return state === 'turned_on'
    ? { state: 'repaired', what: 'Polar had disabled our webhook endpoint; it is enabled again', ...noTeam }
    : { state: 'not_repaired', what: `Polar has no webhook endpoint ${url}`, ...noTeam };
}
