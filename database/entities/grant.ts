import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** Where a grant's credits come from, in the order in which ties of the burn order are broken. */
export const grantSources = ['trial', 'subscription', 'adjustment', 'purchase'] as const;
export type GrantSource = (typeof grantSources)[number];

/**
 * A lot of credits given to a team, in micro-credits.
 * `granted = available + held + consumed + expired + revoked + settled`, each >= 0, is a CHECK in the database;
 * each column equals the sum of the grant's transfers.
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
    /** The part of `revoked` that was given up: by an adjustment that names the order, or with a deleted team. */
    writtenOff: p.bigint(),
    effectiveAt: p.datetime(),
    /** Null: the credits never expire (lifetime). */
    expiresAt: p.datetime().strictNullable(),
    /** Set on an allotment that came late through a delay of ours: it lives until then, whatever its cycle says. */
    livesUntil: p.datetime().strictNullable(),
    /** The plan or pack, by its catalog key, and the catalog version that it was read from. */
    product: p.text().strictNullable(),
    catalogVersion: p.integer(),
    /** What its clawback and its debt go by: `order:{id}` or `cycle:{subscription}:{start}`; null where no money paid for it. */
    debtKey: p.text().strictNullable(),
    /** What paid for it. */
    orderId: p.text().strictNullable(),
    subscriptionId: p.text().strictNullable(),
    periodStart: p.datetime().strictNullable(),
    periodEnd: p.datetime().strictNullable(),
    /** The whole allotment of the cycle that it was made from. */
    allotment: p.bigint().strictNullable(),
    /** Who asked for an adjustment, and why. */
    actor: p.text().strictNullable(),
    reason: p.text().strictNullable(),
    createdAt: p.datetime(),
  },
});

export type Grant = InferEntity<typeof Grant>;

/** SQL for when a grant's credits expire; lifetime credits at `infinity`. The index `grants_in_burn_order` has this expression. */
export function expirySql(alias: string): string {
  return `coalesce(${alias}.expires_at, 'infinity')`;
}

/** SQL for the burn order (`compareBurnOrder`) of the table under this alias, as the index `grants_in_burn_order` has it. */
export function burnOrderSql(alias: string): string {
  const rank = grantSources.map((source, index) => `when '${source}' then ${index + 1}`).join(' ');
  return `${expirySql(alias)}, (case ${alias}.source ${rank} end), ${alias}.effective_at, ${alias}.business_key collate "C"`;
}
