import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The subject of a limit: a member of the team, or one of its API keys. */
export const limitSubjects = ['member', 'key'] as const;
export type LimitSubject = (typeof limitSubjects)[number];

/** A UTC day, a UTC month, or the subscription's cycle (without a subscription: the month). */
export const limitPeriods = ['day', 'month', 'cycle'] as const;
export type LimitPeriod = (typeof limitPeriods)[number];

/** A limit within a team's shared credits, and how much of it is used. Micro-credits. */
export const Limit = defineEntity({
  name: 'Limit',
  tableName: 'limits',
  properties: {
    teamId: p.uuid().primary(),
    subject: p.text().$type<LimitSubject>().primary(),
    subjectId: p.text().primary(),
    credits: p.bigint(),
    per: p.text().$type<LimitPeriod>(),
    /** Consumed since the window began. */
    windowStart: p.datetime(),
    consumed: p.bigint(),
    /** Held by the subject's open holds, whenever they were created. */
    held: p.bigint(),
    /** False while usage from before it was set is still being counted. Until then it refuses nothing. */
    active: p.boolean(),
    /**
     * The total that its subject consumed since the limit was set. `limit_marks` has its value after each commit,
     * under this id.
     */
    counterId: p.bigint(),
    total: p.bigint(),
    /** The start of the time that the marks cover. */
    countedSince: p.datetime(),
    /** The start of the window for which `limit.reached` was sent. */
    announcedWindow: p.datetime().strictNullable(),
  },
});

export type Limit = InferEntity<typeof Limit>;
