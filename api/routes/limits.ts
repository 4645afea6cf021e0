import { z } from 'zod';
import { creditsSchema, decimalOut, formatCredits } from '../../catalog/credits.ts';
import { limitPeriods, limitSubjects } from '../../database/entities/limit.ts';
import { listLimits, removeLimit, type SetLimit, setLimit } from '../../ledger/set-limit.ts';
import { anyRole, memberManagers } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, teamParams, userIdSchema } from '../shapes.ts';
import { apiKeyIdSchema } from './usage.ts';

const zero = z.codec(z.literal([0, '0']), z.bigint(), { decode: () => 0n, encode: () => '0' as const });
const limitIn = z.strictObject({
  credits: z
    .union([zero, creditsSchema], { error: 'expected credits, 0 or more' })
    .meta({ description: 'The most that they may consume; 0 stops them' }),
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
    held: decimalOut.meta({ description: 'By open holds; counts as used' }),
  })
  .meta({ id: 'Limit' });

const managers = { services: ['billing', 'admin'], persons: memberManagers } as const;

export const limitRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/limits',
    tag: 'Limits',
    summary: 'The team’s caps and how far they are used',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams },
    answers: { 200: z.strictObject({ data: z.array(limitOut), nextCursor: z.null() }) },
    async handle({ params: { teamId } }, { dependencies: { database } }) {
      const limits = await listLimits(database.fork(), teamId);
      return { status: 200, body: { data: limits.map(limitJson), nextCursor: null } };
    },
  }),

  ...(
    [
      ['member', '/v1/teams/{teamId}/limits/members/{memberId}', { memberId: userIdSchema }],
      ['key', '/v1/teams/{teamId}/limits/keys/{apiKeyId}', { apiKeyId: apiKeyIdSchema }],
    ] as const
  ).flatMap(([subject, path, whose]) => {
    const params = teamParams.extend(whose);
    const name = subject === 'member' ? 'member' : 'API key';
    const keyOf = ({ teamId, ...rest }: { teamId: string; memberId?: string; apiKeyId?: string }) => ({
      teamId,
      subject,
      subjectId: rest.memberId ?? rest.apiKeyId ?? '',
    });
    return [
      defineRoute({
        method: 'put',
        path,
        tag: 'Limits',
        summary: `Cap what this ${name} may consume of the team’s credits`,
        description:
          subject === 'member' ? 'From the first such cap on, every usage of the team must name its member.' : '',
        access: managers,
        request: { params, body: limitIn },
        answers: { 200: limitOut },
        async handle({ params, body }, { dependencies: { database } }) {
          const limit = await database.transaction((em) => setLimit(em, { ...keyOf(params), ...body }));
          return { status: 200, body: limitJson(limit) };
        },
      }),
      defineRoute({
        method: 'delete',
        path,
        tag: 'Limits',
        summary: `Take this ${name}’s cap away`,
        access: managers,
        request: { params },
        answers: { 204: null },
        refusals: { 404: 'unknown_team, unknown_limit' },
        async handle({ params }, { dependencies: { database } }) {
          await database.transaction((em) => removeLimit(em, keyOf(params)));
          return { status: 204 };
        },
      }),
    ];
  }),
];

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
