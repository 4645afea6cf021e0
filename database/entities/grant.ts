import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The source of a grant's credits, in the order in which ties of the burn order are broken. */
export const grantSources = ['trial', 'subscription', 'adjustment', 'purchase'] as const;
export type GrantSource = (typeof grantSources)[number];

/**
 * An amount of credits given to a team, in micro-credits. `granted = available + held + consumed + expired + revoked +
 * settled`, each >= 0, is a CHECK in the database. Each column equals the sum of the grant's transfers.
 */
export const Grant = defineEntity({
  name: 'Grant',
  tableName: 'grants',
  properties: {
    id: p.uuid().primary(),
    teamId: p.uuid(),
    source: p.text().$type<GrantSource>(),
    /** `trial:{team}`, `order:{id}`, `allotment:{subscription}:{start}`, `drip:{order}:{at}`, `adjustment:{id}`; unique. */
    businessKey: p.text(),
    granted: p.bigint(),
    available: p.bigint(),
    held: p.bigint(),
    consumed: p.bigint(),
    expired: p.bigint(),
    revoked: p.bigint(),
    settled: p.bigint(),
    /** The part of `revoked` that adjustments took: it counts as use. */
    adjusted: p.bigint(),
    /** The part of `revoked` that was given up, by an adjustment that names the order or with a deleted team. */
    writtenOff: p.bigint(),
    effectiveAt: p.datetime(),
    /** Null: the credits never expire (lifetime). */
    expiresAt: p.datetime().strictNullable(),
    /**
     * Set on an allotment that arrived late because of a delay on our side: it can be spent until then, whatever its
     * cycle's expiry is.
     */
    livesUntil: p.datetime().strictNullable(),
    /** The catalog key of the plan or pack, and the catalog version that it was read from. */
    product: p.text().strictNullable(),
    catalogVersion: p.integer(),
    /**
     * The key of its clawback and its debt: `order:{id}` or `cycle:{subscription}:{start}`; null if no money paid for
     * it.
     */
    debtKey: p.text().strictNullable(),
    /** The order or subscription that paid for it. */
    orderId: p.text().strictNullable(),
    subscriptionId: p.text().strictNullable(),
    periodStart: p.datetime().strictNullable(),
    periodEnd: p.datetime().strictNullable(),
    /** The complete allotment of the cycle that it was made from. */
    allotment: p.bigint().strictNullable(),
    /** The actor and the reason of an adjustment. */
    actor: p.text().strictNullable(),
    reason: p.text().strictNullable(),
    createdAt: p.datetime(),
  },
});

export type Grant = InferEntity<typeof Grant>;

/**
 * SQL for a grant's expiry, with `infinity` for lifetime credits. The index `grants_in_burn_order` has this
 * expression.
 */
export function expirySql(alias: string): string {
  return `coalesce(${alias}.expires_at, 'infinity')`;
}

/** SQL for the burn order (`compareBurnOrder`) of the table with this alias, as in the index `grants_in_burn_order`. */
export function burnOrderSql(alias: string): string {
  const rank = grantSources.map((source, index) => `when '${source}' then ${index + 1}`).join(' ');
  return `${expirySql(alias)}, (case ${alias}.source ${rank} end), ${alias}.effective_at, ${alias}.business_key collate "C"`;
}
