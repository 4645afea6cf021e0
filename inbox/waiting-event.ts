import type { EntityManager } from '@mikro-orm/postgresql';

/**
 * The contents of a signal about an inbox row, with which its team's workflow chooses and names the next step. No
 * personal data.
 */
export interface WaitingEvent {
  inboxId: string;
  /** The row's type, cut to 60 characters. */
  type: string;
  /** What a paid order is for; absent for every other type. */
  pays?: 'purchase' | 'cycle' | 'change';
  /** Catalog key, amount and status, for operators; absent if the row has none of them. */
  about?: string;
}

/** SQL for the `WaitingEvent` of a row of `inbox`. Only for a summary: no step relies on `about`. */
export const waitingEventSql = `(
  select jsonb_strip_nulls(jsonb_build_object(
           'inboxId', inbox.id,
           'type', left(inbox.type, 60),
           'pays', case when inbox.type <> 'order.paid' then null
                        when coalesce(data->>'subscription_id', data->'subscription'->>'id') is null then 'purchase'
                        when data->>'billing_reason' = 'subscription_update' then 'change'
                        else 'cycle' end,
           'about', nullif(concat_ws(' ', product, amount, state), '')))
    from (select inbox.payload->'data' as data) d,
         lateral (
           select coalesce(inbox.assigned_product,
                           (select catalog_key from polar_products where polar_product_id = data->>'product_id'),
                           (select o.product from orders o where o.id = coalesce(data->>'order_id', data->>'id')),
                           substring(data->'product'->'metadata'->>'catalog_key' from '^[a-z0-9_]{1,40}$')) as product,
                  case when jsonb_typeof(coalesce(data->'net_amount', data->'amount')) <> 'number' then null
                       when data->>'currency' = 'usd'
                       then round(coalesce(data->>'net_amount', data->>'amount')::numeric / 100, 2) || ' usd'
                       else coalesce(data->>'net_amount', data->>'amount') || ' minor units of ' || substring(data->>'currency' from '^[a-z]{3}$') end as amount,
                  case when inbox.type like 'subscription.%' then substring(data->>'status' from '^[a-z_]{1,30}$') end as state
         ) parts)`;

/** @returns null if there is no such row */
export async function readWaitingEvent(em: EntityManager, inboxId: string): Promise<WaitingEvent | null> {
  const [row] = await em.execute<{ event: WaitingEvent }[]>(
    `select ${waitingEventSql} as event from inbox where id = ?`,
    [inboxId],
  );
  return row?.event ?? null;
}
