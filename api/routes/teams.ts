import { z } from 'zod';
import { renameTeam } from '../../teams/change-names.ts';
import { createTeam } from '../../teams/create-team.ts';
import { deleteTeam } from '../../teams/delete-team.ts';
import { findTeam } from '../../teams/find-team.ts';
import { idempotent } from '../../teams/idempotent.ts';
import { listTeams } from '../../teams/list-teams.ts';
import type { Caller } from '../authenticate.ts';
import { anyRole, forbidden, memberManagers } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { refuseFields } from '../problem.ts';
import {
  instantOut,
  listQuery,
  nameSchema,
  pageOf,
  roleSchema,
  teamIdSchema,
  teamParams,
  userIdSchema,
} from '../shapes.ts';

const team = z.strictObject({ id: teamIdSchema, name: z.string(), personal: z.boolean() });

export const teamRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/teams',
    tag: 'Users and teams',
    summary: 'Make a team',
    description: 'A person becomes the owner of the team that they make; a service names the owner.',
    access: { services: ['onboarding'], persons: 'signedIn' },
    needsIdempotencyKey: true,
    request: { body: z.strictObject({ name: nameSchema, ownerId: userIdSchema.exactOptional() }) },
    answers: { 201: team },
    refusals: ['unknown_owner', 'too_many_teams', 'catalog_not_published'],
    async handle({ body: { name, ownerId } }, { dependencies: { database, temporal }, caller, idempotency }) {
      const by = caller();
      const owner = ownerFor(by, ownerId);
      let tell = () => {};
      const answer = await idempotent(database, idempotency(), async (em) => {
        const { id, inboxId } = await createTeam(em, { name, ownerId: owner, by });
        tell = () => temporal.signal(id, inboxId);
        return { status: 201, body: { id, name, personal: false } };
      });
      tell();
      return answer;
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams',
    tag: 'Users and teams',
    summary: 'My teams',
    description: 'A person’s teams with their role in each; for services all teams, without a role.',
    access: { services: ['onboarding', 'billing', 'admin'], persons: 'signedIn' },
    request: { query: listQuery },
    answers: { 200: pageOf(team.extend({ role: roleSchema.optional() })) },
    refusals: ['invalid_cursor'],
    async handle({ query }, { dependencies: { database }, caller }) {
      const asking = caller();
      const whose = asking.kind === 'person' ? { userId: asking.userId } : {};
      return { status: 200, body: await listTeams(database.fork(), { ...query, ...whose }) };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}',
    tag: 'Users and teams',
    summary: 'A team',
    access: { services: ['onboarding', 'usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams },
    answers: { 200: team },
    async handle({ params: { teamId } }, { dependencies: { database } }) {
      const { id, name, personal } = await findTeam(database.fork(), teamId);
      return { status: 200, body: { id, name, personal } };
    },
  }),

  defineRoute({
    method: 'patch',
    path: '/v1/teams/{teamId}',
    tag: 'Users and teams',
    summary: 'Rename a team',
    description: 'Its customer at Polar follows. A Personal Team keeps its name.',
    access: { services: ['onboarding', 'admin'], persons: memberManagers },
    request: { params: teamParams, body: z.strictObject({ name: nameSchema }) },
    answers: { 200: team },
    refusals: ['personal_team'],
    async handle({ params: { teamId }, body: { name } }, { dependencies: { database, temporal }, caller }) {
      const by = caller();
      const renamed = await database.transaction((em) => renameTeam(em, { teamId, name, by }));
      if (renamed.inboxId !== null) temporal.signal(teamId, renamed.inboxId);
      return { status: 200, body: renamed.team };
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/teams/{teamId}',
    tag: 'Users and teams',
    summary: 'Delete a team',
    description:
      'By an owner of it, or a service. From the answer on nothing of it is spent or seen; its subscription at Polar is ended and its credits are forfeited right after. Asked again, it answers the same. A Personal Team goes only with its user.',
    access: { services: ['onboarding', 'admin'], persons: 'signedIn', teamIsCheckedByHandler: true },
    request: { params: teamParams },
    answers: { 202: z.strictObject({ id: teamIdSchema, deletedAt: instantOut }) },
    refusals: ['personal_team'],
    async handle({ params: { teamId } }, { dependencies: { database, temporal }, caller }) {
      const by = caller();
      const { deletedAt, inboxId } = await database.transaction((em) => deleteTeam(em, { teamId, by }));
      if (inboxId !== null) temporal.signal(teamId, inboxId);
      return { status: 202, body: { id: teamId, deletedAt: deletedAt.toISOString() } };
    },
  }),
];

function ownerFor(caller: Caller, ownerId: string | undefined): string {
  if (caller.kind === 'person') {
    if (ownerId === undefined || ownerId === caller.userId) return caller.userId;
    throw forbidden('A person who makes a team is its owner: ownerId can only be your own', {});
  }
  if (ownerId !== undefined) return ownerId;
  throw refuseFields('invalid_request', [{ path: 'ownerId', message: 'a service names the owner' }]);
}
