import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { creditsOrZeroSchema, decimalOut, formatCredits } from '../../catalog/credits.ts';
import { Limit, limitPeriods, limitSubjects } from '../../database/entities/limit.ts';
import {
  type LimitKey,
  listLimits,
  removeLimit,
  type SetLimit,
  setLimit,
} from '../../ledger/spend/set-limit.ts';
import { recordAct } from '../../teams/actor.ts';
import type { Caller } from '../authenticate.ts';
import { anyRole, memberManagers } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { apiKeyIdSchema, instantOut, listQuery, pageOf, teamParams, userIdSchema } from '../shapes.ts';

const limitIn = z.strictObject({
  credits: creditsOrZeroSchema.meta({ description: 'The maximum that the subject may consume; 0 stops it' }),
  per: z.enum(limitPeriods).meta({
    description: 'A UTC day, a UTC month, or the subscription’s cycle (without a subscription: the month)',
  }),
});

const limitOut = z
  .strictObject({
    subject: z.strictObject({ kind: z.enum(limitSubjects), id: z.string() }),
    credits: decimalOut,
    per: z.enum(limitPeriods),
    windowStart: instantOut,
    consumed: decimalOut.meta({ description: 'Since the window began' }),
    held: decimalOut.meta({ description: 'Held by open holds; counts as used' }),
  })
  .meta({ id: 'Limit' });

const memberParams = teamParams.extend({ memberId: userIdSchema });
const keyParams = teamParams.extend({ apiKeyId: apiKeyIdSchema });
const managers = { services: ['billing', 'admin'], persons: memberManagers } as const;

export const limitRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/limits',
    tag: 'Limits',
    summary: 'The team’s limits and how much of each is used',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams, query: listQuery },
    answers: { 200: pageOf(limitOut) },
    refusals: ['invalid_cursor'],
    async handle({ params: { teamId }, query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listLimits(database.fork(), teamId, query);
      return { status: 200, body: { data: data.map(limitJson), nextCursor } };
    },
  }),

  defineRoute({
    method: 'put',
    path: '/v1/teams/{teamId}/limits/members/{memberId}',
    tag: 'Limits',
    summary: 'Set a member’s limit',
    description:
      'If a team has such a limit, every usage and hold must name one of its members: without memberId it is 422 member_required, with an unknown one 422 member_not_in_team.',
    access: managers,
    request: { params: memberParams, body: limitIn },
    answers: { 200: limitOut },
    refusals: ['unknown_member', 'too_many_limits', 'catalog_not_published'],
    async handle(
      { params: { teamId, memberId }, body },
      { dependencies: { database }, confirmRights, caller },
    ) {
      const whose = { teamId, subject: 'member', subjectId: memberId } as const;
      let recorded = false;
      const limit = await setLimit(database, { ...whose, ...body }, async (em) => {
        await confirmRights(em);
        // Called under each lock; the change begins under the first.
        if (!recorded) await recordChange(em, caller(), whose, body);
        recorded = true;
      });
      return { status: 200, body: limitJson(limit) };
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/teams/{teamId}/limits/members/{memberId}',
    tag: 'Limits',
    summary: 'Remove a member’s limit',
    access: managers,
    request: { params: memberParams },
    answers: { 204: null },
    refusals: ['unknown_limit'],
    async handle({ params: { teamId, memberId } }, { dependencies: { database }, confirmRights, caller }) {
      const whose = { teamId, subject: 'member', subjectId: memberId } as const;
      await removeLimit(database, whose, async (em) => {
        await confirmRights(em);
        await recordChange(em, caller(), whose, null);
      });
      return { status: 204 };
    },
  }),

  defineRoute({
    method: 'put',
    path: '/v1/teams/{teamId}/limits/keys/{apiKeyId}',
    tag: 'Limits',
    summary: 'Set an API key’s limit',
    description: 'Any id, because the platform manages API keys. Usage need not name one.',
    access: managers,
    request: { params: keyParams, body: limitIn },
    answers: { 200: limitOut },
    refusals: ['too_many_limits', 'catalog_not_published'],
    async handle(
      { params: { teamId, apiKeyId }, body },
      { dependencies: { database }, confirmRights, caller },
    ) {
      const whose = { teamId, subject: 'key', subjectId: apiKeyId } as const;
      let recorded = false;
      const limit = await setLimit(database, { ...whose, ...body }, async (em) => {
        await confirmRights(em);
        // Called under each lock; the change begins under the first.
        if (!recorded) await recordChange(em, caller(), whose, body);
        recorded = true;
      });
      return { status: 200, body: limitJson(limit) };
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/teams/{teamId}/limits/keys/{apiKeyId}',
    tag: 'Limits',
    summary: 'Remove an API key’s limit',
    access: managers,
    request: { params: keyParams },
    answers: { 204: null },
    refusals: ['unknown_limit'],
    async handle({ params: { teamId, apiKeyId } }, { dependencies: { database }, confirmRights, caller }) {
      const whose = { teamId, subject: 'key', subjectId: apiKeyId } as const;
      await removeLimit(database, whose, async (em) => {
        await confirmRights(em);
        await recordChange(em, caller(), whose, null);
      });
      return { status: 204 };
    },
  }),
];

type LimitTerms = Pick<SetLimit, 'credits' | 'per'>;

/** Records a change, under the team's lock and in the same transaction, before it is made. */
async function recordChange(
  em: EntityManager,
  by: Caller,
  { teamId, subject, subjectId }: LimitKey,
  after: LimitTerms | null,
): Promise<void> {
  const terms = (limit: LimitTerms | null) =>
    limit && { credits: formatCredits(limit.credits), per: limit.per };
  const before = await em.findOne(Limit, { teamId, subject, subjectId }, { disableIdentityMap: true });
  await recordAct(em, by, {
    action: after ? 'limit.set' : 'limit.removed',
    teamId,
    subject: `${subject}:${subjectId}`,
    before: terms(before),
    after: terms(after),
  });
}

function limitJson({ subject, subjectId, windowStart, ...limit }: SetLimit): z.output<typeof limitOut> {
  return {
    subject: { kind: subject, id: subjectId },
    credits: formatCredits(limit.credits),
    per: limit.per,
    windowStart: windowStart.toISOString(),
    consumed: formatCredits(limit.consumed),
    held: formatCredits(limit.held),
  };
}
