import { z } from 'zod';
import { listOpenHolds, readHold, unknownHold } from '../../ledger/read/list-holds.ts';
import { findMember } from '../../teams/find-team.ts';
import { anyRole } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { holdDetailsJson, holdDetailsOut } from '../hold-details.ts';
import { listQuery, pageOf, teamParams } from '../shapes.ts';

export const openHoldRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/holds',
    tag: 'Holds',
    operationId: 'listOpenHolds',
    summary: 'List the team’s open holds, oldest first',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams, query: listQuery },
    answers: { 200: pageOf('HoldPage', holdDetailsOut) },
    async handle({ params: { teamId }, query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listOpenHolds(database.fork(), teamId, query);
      return { status: 200, body: { data: data.map(holdDetailsJson), nextCursor } };
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
    answers: { 200: holdDetailsOut },
    refusals: ['unknown_hold'],
    async handle({ params: { holdId } }, { dependencies: { database }, caller }) {
      const actor = caller();
      const em = database.fork();
      const hold = await readHold(em, holdId);
      if (actor.kind === 'person' && !(await findMember(em, hold.teamId, actor.userId)))
        throw unknownHold(holdId);
      return { status: 200, body: holdDetailsJson(hold) };
    },
  }),
];
