import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** Whom a cap binds: a member of the team, or an API key of theirs. */
export const limitSubjects = ['member', 'key'] as const;
export type LimitSubject = (typeof limitSubjects)[number];

/** A UTC day, a UTC month, or the subscription's cycle (without a subscription: the month). */
export const limitPeriods = ['day', 'month', 'cycle'] as const;
export type LimitPeriod = (typeof limitPeriods)[number];

/** A hard cap inside a team's shared pool, and how far it is used. Micro-credits. */
export const Limit = defineEntity({
  name: 'Limit',
  tableName: 'limits',
  properties: {
    teamId: p.uuid().primary(),
    subject: p.text().$type<LimitSubject>().primary(),
    subjectId: p.text().primary(),
    credits: p.bigint(),
    per: p.text().$type<LimitPeriod>(),
    /** What was consumed since the window began ... */
    windowStart: p.datetime(),
    consumed: p.bigint(),
    /** ... and what the subject's open holds set aside, whenever they were made. */
    held: p.bigint(),
    /** False while usage from before it was set is being counted: it counts, and refuses nothing. */
    active: p.boolean(),
    /** What its subject consumed in all since the limit was set; `limit_marks` has it after each commit, under this id. */
    counterId: p.bigint(),
    total: p.bigint(),
    /** From when on the marks tell what was consumed. */
    countedSince: p.datetime(),
  },
});

export type Limit = InferEntity<typeof Limit>;
