import { z } from 'zod';
import { decimalOut, formatCredits } from '../../catalog/credits.ts';
import { listOpenHolds, type ReadHold, readHold, unknownHold } from '../../ledger/read/list-holds.ts';
import { findMember } from '../../teams/find-team.ts';
import { anyRole } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, listQuery, pageOf, teamIdSchema, teamParams } from '../shapes.ts';

const holdOut = z
  .strictObject({
    id: z.guid(),
    teamId: teamIdSchema,
    action: z.string().meta({ examples: ['model.gpt-5'] }),
    status: z.enum(['open', 'captured', 'released', 'lapsed']),
    credits: decimalOut.meta({ description: 'Credits that the hold sets aside' }),
    memberId: z
      .string()
      .nullable()
      .meta({ examples: ['user_42'] }),
    apiKeyId: z
      .string()
      .nullable()
      .meta({ examples: ['key_7f3a'] }),
    createdAt: instantOut,
    expiresAt: instantOut,
  })
  .meta({ id: 'HoldDetails' });

export const openHoldRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/holds',
    tag: 'Holds',
    operationId: 'listOpenHolds',
    summary: 'List the team’s open holds, oldest first',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams, query: listQuery },
    answers: { 200: pageOf('HoldPage', holdOut) },
    refusals: ['invalid_cursor'],
    async handle({ params: { teamId }, query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listOpenHolds(database.fork(), teamId, query);
      return { status: 200, body: { data: data.map(holdJson), nextCursor } };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/holds/{holdId}',
    tag: 'Holds',
    operationId: 'readHold',
    summary: 'Read one hold, open or ended',
    access: { services: ['usage', 'billing', 'admin'], persons: 'signedIn' },
    request: { params: z.object({ holdId: z.guid({ error: 'expected a hold id: a UUID' }).toLowerCase() }) },
    answers: { 200: holdOut },
    refusals: ['unknown_hold'],
    async handle({ params: { holdId } }, { dependencies: { database }, caller }) {
      const by = caller();
      const em = database.fork();
      const hold = await readHold(em, holdId);
      if (by.kind === 'person' && !(await findMember(em, hold.teamId, by.userId))) throw unknownHold(holdId);
      return { status: 200, body: holdJson(hold) };
    },
  }),
];

function holdJson(hold: ReadHold): z.output<typeof holdOut> {
  const { id, teamId, action, status, memberId, apiKeyId } = hold;
  return {
    id,
    teamId,
    action,
    status,
    credits: formatCredits(hold.credits),
    memberId,
    apiKeyId,
    createdAt: hold.createdAt.toISOString(),
    expiresAt: hold.expiresAt.toISOString(),
  };
}
