import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { DomainError } from '../domain-error.ts';
import { callPolar } from './client.ts';
import { withCustomer } from './ensure-customer.ts';
import { findBillableSubscription } from './find-billable-subscription.ts';
import { findSellableProduct } from './find-sellable-product.ts';

export interface CheckoutRequest {
  teamId: string;
  /** A plan's or pack's catalog key. */
  product: string;
  /** Where the payer goes afterwards; Polar puts the checkout's id in the place of `{CHECKOUT_ID}`. */
  successUrl: string;
  /** Where the page's back button goes. */
  returnUrl: string;
}

/**
 * A page of Polar's on which the team pays for a plan or a pack, good until `expiresAt` (a day). Its metadata is
 * what finds the team later: Polar copies it to the order, the subscription and the renewals.
 *
 * @throws DomainError 422 `unknown_product`; 503 `product_not_synced`; 409 `already_subscribed`; those of
 *   `ensureCustomer` and `callPolar`
 */
export async function createCheckout(
  polar: Polar,
  database: Database,
  { teamId, product: key, successUrl, returnUrl }: CheckoutRequest,
): Promise<{ url: string; expiresAt: Date }> {
  const em = database.fork();
  const { product, polarProductId } = await findSellableProduct(em, key);
  const standing = product.kind === 'plan' ? await findBillableSubscription(em, teamId) : null;
  if (standing) {
    const message = `The team is already subscribed to ${standing.plan}: change the plan instead`;
    throw new DomainError(409, 'already_subscribed', message, {
      plan: standing.plan,
      status: standing.status,
    });
  }
  return withCustomer(polar, database, teamId, async (customerId) => {
    // A checkout that was made and not received is never paid, so a lost answer needs no looking after.
    const checkout = await callPolar('change', () =>
      polar.checkouts.create({
        products: [polarProductId],
        customer_id: customerId,
        metadata: { team_id: teamId, catalog_key: key },
        success_url: successUrl,
        return_url: returnUrl,
      }),
    );
    return { url: checkout.url, expiresAt: new Date(checkout.expires_at) };
  });
}
