import type { EntityManager } from '@mikro-orm/postgresql';
import { findProduct } from '../../catalog/schema.ts';
import { type PublishedCatalog, readCatalogVersion } from '../../catalog/versions.ts';
import { reversedSql } from '../../database/entities/order.ts';
import type { Subscription } from '../../database/entities/subscription.ts';
import { DomainError } from '../../domain-error.ts';
import type { PlanTerms, SubscriptionBilling } from '../rules/cycle-lines.ts';
import type { OrderMoney } from '../rules/entitlement.ts';

/** The stored billing data of a subscription, and the money of its orders by order id. */
export interface StoredBilling {
  billing: SubscriptionBilling;
  orders: Map<string, OrderMoney>;
}

/**
 * Reads everything that decides the entitlement of a subscription's cycles. An order counts from the moment its
 * payment was accepted.
 *
 * @param state  the stored subscription; null if no state of it is known
 */
export async function readBilling(
  em: EntityManager,
  id: string,
  state: Pick<Subscription, 'startedAt' | 'endedAt'> | null,
): Promise<StoredBilling> {
  const [row] = await em.execute<(BillingRow & { versions: VersionRow[] | null })[]>(
    `select b.*, (select jsonb_agg(jsonb_build_object('version', version, 'publishedAt', published_at) order by version)
                    from catalog_versions) as versions
       from (${billingSql('?')}) b`,
    [id, id],
  );
  if (!row) throw new Error('a query without a table returned no row');
  const catalogs: CatalogAt[] = [];
  for (const { version, publishedAt } of row.versions ?? []) {
    catalogs.push({
      catalogVersion: version,
      publishedAt: new Date(publishedAt),
      catalog: await readCatalogVersion(em, version),
    });
  }
  return toBilling(id, state, row, catalogs);
}

/** The query for a subscription's periods and lines. @param id  the SQL expression of its id, used twice */
export function billingSql(id: string): string {
  return `
    select (select jsonb_agg(jsonb_build_object('start', p.starts_at, 'end', p.ends_at))
              from subscription_periods p where p.subscription_id = ${id}) as periods,
           (select jsonb_agg(jsonb_build_object(
                     'orderId', l.order_id, 'index', l.line, 'amount', l.amount::text, 'proration', l.proration,
                     'plan', price.catalog_key, 'start', l.starts_at, 'end', l.ends_at, 'inTrial', l.in_trial,
                     'orderedAt', o.created_at, 'orderPlan', o.product, 'billsUsage', o.bills_usage,
                     'paid', o.paid_amount::text, 'reversed', ${reversedSql('o')}::text))
              from order_lines l
              join orders o on o.id = l.order_id and o.granted_at is not null
              left join polar_prices price on price.price_id = l.price_id
             where l.subscription_id = ${id}) as lines`;
}

/** A version of the catalog and when it was published. */
export interface CatalogAt extends PublishedCatalog {
  publishedAt: Date;
}

/** @param catalogs  every version, oldest first */
export function toBilling(
  id: string,
  state: Pick<Subscription, 'startedAt' | 'endedAt'> | null,
  { periods, lines }: BillingRow,
  catalogs: readonly CatalogAt[],
): StoredBilling {
  const stored = lines ?? [];
  return {
    orders: new Map(
      stored.map(({ orderId, paid, reversed }) => [
        orderId,
        { paid: BigInt(paid), reversed: BigInt(reversed) },
      ]),
    ),
    billing: {
      id,
      startedAt: state?.startedAt ?? null,
      endedAt: state?.endedAt ?? null,
      periods: (periods ?? []).map(({ start, end }) => ({ start: new Date(start), end: new Date(end) })),
      lines: stored.map(({ amount, orderedAt, start, end, paid, reversed, ...line }) => ({
        ...line,
        amount: BigInt(amount),
        orderedAt: new Date(orderedAt),
        period: start === null || end === null ? null : { start: new Date(start), end: new Date(end) },
      })),
      termsOf: (plan, at) => termsOf(catalogs, plan, at),
    },
  };
}

/**
 * The terms in the catalog of that time. A plan that was added later has the terms of its first version.
 * @throws DomainError `unknown_product` if no version of the catalog has the plan
 */
function termsOf(catalogs: readonly CatalogAt[], key: string, at: Date): PlanTerms {
  const then = catalogs.findLastIndex(({ publishedAt }) => publishedAt <= at);
  for (const { catalogVersion, catalog } of catalogs.slice(Math.max(then, 0))) {
    const product = findProduct(catalog, key);
    if (product?.kind !== 'plan') continue;
    const { allotment, rhythm, interval, price } = product.plan;
    return {
      allotment,
      dripsMonthly: rhythm === 'monthly',
      months: interval === 'year' ? 12 : 1,
      price: BigInt(price.cents),
      catalogVersion,
    };
  }
  throw new DomainError('unknown_product', `No version of the catalog has the plan ${key}`);
}

interface VersionRow {
  version: number;
  publishedAt: string;
}

export interface BillingRow {
  periods: { start: string; end: string }[] | null;
  lines:
    | {
        orderId: string;
        index: number;
        amount: string;
        proration: boolean;
        plan: string | null;
        start: string | null;
        end: string | null;
        inTrial: boolean;
        orderedAt: string;
        orderPlan: string;
        billsUsage: boolean;
        paid: string;
        reversed: string;
      }[]
    | null;
}
