import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { findCurrentSubscription, isStanding } from '../database/entities/subscription.ts';
import { DomainError } from '../domain-error.ts';
import { subscriptionPaused } from './change-subscription.ts';
import { callPolar } from './client.ts';
import { withCustomer } from './ensure-customer.ts';
import { findSellableProduct } from './find-sellable-product.ts';
import { findTeamSubscriptions } from './find-subscriptions.ts';
import { resolveProduct } from './resolve-product.ts';

export interface CheckoutRequest {
  teamId: string;
  /** The catalog key of a plan or pack. */
  product: string;
  /** Where the payer is redirected afterwards. Polar replaces `{CHECKOUT_ID}` with the checkout's id. */
  successUrl: string;
  /** The target of the page's back button. */
  returnUrl: string;
}

/**
 * Creates a page at Polar on which the team pays for a plan or a pack, valid until `expiresAt` (a day). Its metadata
 * later identifies the team: Polar copies it to the order, the subscription and the renewals. `catalog_version` is the
 * version whose price and credits the payer sees.
 *
 * A team with a standing subscription cannot buy another plan. Polar refuses a second one only while it charges for
 * the first. If the first is paused, Polar sells a second one and charges for both after a resume.
 *
 * @throws DomainError `unknown_product`, `product_not_synced`, `already_subscribed`,
 *   `subscription_paused`; as `ensureCustomer` and `callPolar`
 */
export async function createCheckout(
  polar: Polar,
  database: Database,
  { teamId, product: key, successUrl, returnUrl }: CheckoutRequest,
): Promise<{ id: string; url: string; expiresAt: Date }> {
  const em = database.fork();
  const { product, polarProductId, catalogVersion } = await findSellableProduct(em, key);
  if (product.kind === 'plan') await requireNoSubscription(polar, database, teamId);
  return withCustomer(polar, database, teamId, async (customerId) => {
    // If the answer is lost, the checkout is never paid, so no check is needed.
    const checkout = await callPolar('change', () =>
      polar.checkouts.create({
        products: [polarProductId],
        customer_id: customerId,
        metadata: { team_id: teamId, catalog_key: key, catalog_version: catalogVersion },
        success_url: successUrl,
        return_url: returnUrl,
      }),
    );
    return { id: checkout.id, url: checkout.url, expiresAt: new Date(checkout.expires_at) };
  });
}

/** Our tables are read first, then Polar, because its webhooks may be late or lost. */
async function requireNoSubscription(polar: Polar, database: Database, teamId: string): Promise<void> {
  const em = database.fork();
  const mirrored = await findCurrentSubscription(em, teamId);
  if (mirrored) throw subscriptionStands(mirrored);
  const standing = (await findTeamSubscriptions(polar, database, teamId)).find(isStanding);
  if (standing) {
    throw subscriptionStands({ plan: await resolveProduct(em, standing), status: standing.status });
  }
}

function subscriptionStands({ plan, status }: { plan: string | null; status: string }): DomainError {
  if (status === 'paused') return subscriptionPaused(plan);
  const message = `The team is already subscribed to ${plan}: change its plan instead`;
  return new DomainError('already_subscribed', message, { plan, status });
}
