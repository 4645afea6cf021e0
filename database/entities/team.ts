import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * The unit of billing. Its row is the team's lock: a writer of a team's credits locks it first (`for no key update`,
 * teams in id order) and reads afterwards.
 */
export const Team = defineEntity({
  name: 'Team',
  tableName: 'teams',
  properties: {
    id: p.uuid().primary(),
    name: p.text(),
    personal: p.boolean(),
    polarCustomerId: p.text().strictNullable(),
    createdAt: p.datetime(),
    deletedAt: p.datetime().strictNullable(),
    /** Whether the hot path must also read the team's limits, or its debts. */
    hasLimits: p.boolean().default(false),
    hasDebts: p.boolean().default(false),
    /** Credits came in: the next review of the team's alerts arms them again. */
    creditsCameIn: p.boolean().default(false),
    /** Thresholds of `credits.low`: credits, or a percentage of `alertBase`. */
    lowBalance: p.array().defaultRaw(`'{20%,5%}'`),
    /** The state of the alerts (`AlertState`). Micro-credits. */
    alertBase: p.bigint().default(0),
    alertWatermark: p.bigint().default(0),
    exhaustionSent: p.boolean().default(false),
  },
});

export type Team = InferEntity<typeof Team>;
