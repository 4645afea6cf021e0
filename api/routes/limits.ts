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
import { type Answer, type CallContext, defineRoute } from '../define-route.ts';
import { apiKeyIdSchema, instantOut, listQuery, pageOf, teamParams, userIdSchema } from '../shapes.ts';

const limitIn = z
  .strictObject({
    credits: creditsOrZeroSchema.meta({
      description: 'The maximum that may be consumed within one period; 0 allows nothing',
      examples: ['100'],
    }),
    per: z.enum(limitPeriods).meta({
      description: 'A UTC day, a UTC month, or the subscription’s cycle (without a subscription: the month)',
    }),
  })
  .meta({ id: 'LimitTerms' });

const limitOut = z
  .strictObject({
    subject: z
      .strictObject({ kind: z.enum(limitSubjects), id: z.string().meta({ examples: ['user_42'] }) })
      .meta({ id: 'LimitSubject' }),
    credits: decimalOut,
    per: z.enum(limitPeriods),
    windowStart: instantOut,
    consumed: decimalOut.meta({ description: 'Since windowStart' }),
    held: decimalOut.meta({ description: 'Set aside by open holds; counts as used' }),
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
    operationId: 'listLimits',
    summary: 'List the team’s limits and their use',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams, query: listQuery },
    answers: { 200: pageOf('LimitPage', limitOut) },
    async handle({ params: { teamId }, query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listLimits(database.fork(), teamId, query);
      return { status: 200, body: { data: data.map(limitJson), nextCursor } };
    },
  }),

  defineRoute({
    method: 'put',
    path: '/v1/teams/{teamId}/limits/members/{memberId}',
    tag: 'Limits',
    operationId: 'setMemberLimit',
    summary: 'Limit what a member may consume',
    description:
      'From the first limit of a member on, every usage and hold of the team must name a member. Without memberId it is refused with member_required, with another user’s id with member_not_in_team.',
    access: managers,
    request: { params: memberParams, body: limitIn },
    answers: { 200: limitOut },
    refusals: ['unknown_member', 'too_many_limits', 'catalog_not_published'],
    async handle({ params: { teamId, memberId }, body }, context) {
      return answerSet(context, { teamId, subject: 'member', subjectId: memberId }, body);
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/teams/{teamId}/limits/members/{memberId}',
    tag: 'Limits',
    operationId: 'removeMemberLimit',
    summary: 'Remove a member’s limit',
    access: managers,
    request: { params: memberParams },
    answers: { 204: null },
    refusals: ['unknown_limit'],
    async handle({ params: { teamId, memberId } }, context) {
      return answerRemoved(context, { teamId, subject: 'member', subjectId: memberId });
    },
  }),

  defineRoute({
    method: 'put',
    path: '/v1/teams/{teamId}/limits/keys/{apiKeyId}',
    tag: 'Limits',
    operationId: 'setApiKeyLimit',
    summary: 'Limit what an API key may consume',
    description: 'The API keys are the platform’s, so any id is accepted. A usage need not name an API key.',
    access: managers,
    request: { params: keyParams, body: limitIn },
    answers: { 200: limitOut },
    refusals: ['too_many_limits', 'catalog_not_published'],
    async handle({ params: { teamId, apiKeyId }, body }, context) {
      return answerSet(context, { teamId, subject: 'key', subjectId: apiKeyId }, body);
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/teams/{teamId}/limits/keys/{apiKeyId}',
    tag: 'Limits',
    operationId: 'removeApiKeyLimit',
    summary: 'Remove an API key’s limit',
    access: managers,
    request: { params: keyParams },
    answers: { 204: null },
    refusals: ['unknown_limit'],
    async handle({ params: { teamId, apiKeyId } }, context) {
      return answerRemoved(context, { teamId, subject: 'key', subjectId: apiKeyId });
    },
  }),
];

async function answerSet(
  { dependencies: { database }, confirmRights, caller }: CallContext,
  key: LimitKey,
  terms: LimitTerms,
): Promise<Answer> {
  let recorded = false;
  const limit = await setLimit(database, { ...key, ...terms }, async (em) => {
    await confirmRights(em);
    // Called under each lock; the change begins under the first.
    if (!recorded) await recordChange(em, caller(), key, terms);
    recorded = true;
  });
  return { status: 200, body: limitJson(limit) };
}

async function answerRemoved(
  { dependencies: { database }, confirmRights, caller }: CallContext,
  key: LimitKey,
): Promise<Answer> {
  await removeLimit(database, key, async (em) => {
    await confirmRights(em);
    await recordChange(em, caller(), key, null);
  });
  return { status: 204 };
}

type LimitTerms = Pick<SetLimit, 'credits' | 'per'>;

/** Records the change under the team's lock, in the same transaction, before it is made. */
async function recordChange(
  em: EntityManager,
  actor: Caller,
  { teamId, subject, subjectId }: LimitKey,
  after: LimitTerms | null,
): Promise<void> {
  const terms = (limit: LimitTerms | null) =>
    limit && { credits: formatCredits(limit.credits), per: limit.per };
  const before = await em.findOne(Limit, { teamId, subject, subjectId }, { disableIdentityMap: true });
  await recordAct(em, actor, {
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
