import type { models, Polar } from '@polar-sh/sdk/2026-10';
import { z } from 'zod';
import { hasCode } from '../domain-error.ts';
import { callPolar } from './client.ts';
import type { PolarTeamRef } from './events.ts';

/** A checkout as Polar has it now. */
export interface PolarCheckout {
  /** open, expired, confirmed (payment in progress), succeeded, failed, or a status that Polar adds later. */
  status: string;
  teamRef: PolarTeamRef;
}

const checkoutSchema = z.object({
  status: z.string(),
  customer_id: z.string().nullish(),
  external_customer_id: z.string().nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});

/** Null if Polar has no such checkout. @throws DomainError as `callPolar` */
export async function fetchCheckout(polar: Polar, id: string): Promise<PolarCheckout | null> {
  try {
    const checkout = checkoutSchema.parse(await callPolar('read', () => polar.checkouts.get(id)));
    const named = checkout.metadata?.team_id;
    return {
      status: checkout.status,
      teamRef: {
        metadataTeamId: typeof named === 'string' ? named : null,
        customerExternalId: checkout.external_customer_id ?? null,
        customerId: checkout.customer_id ?? null,
      },
    };
  } catch (error) {
    if (hasCode(error, 'polar_not_found')) return null;
    throw error;
  }
}

/** The order of a checkout, as Polar sends it; undefined if there is none yet. @throws DomainError as `callPolar` */
export async function findCheckoutOrder(polar: Polar, checkoutId: string): Promise<models.Order | undefined> {
  const { items } = await callPolar('read', () =>
    polar.orders.list({ checkout_id: checkoutId, limit: 1, sorting: ['created_at'] }),
  );
  return items[0];
}
