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

const teamShape = {
  id: teamIdSchema,
  name: z.string().meta({ examples: ['Weavers'] }),
  personal: z.boolean(),
};
const teamOut = z.strictObject(teamShape).meta({ id: 'Team' });
const listedTeamOut = z
  .strictObject({ ...teamShape, role: roleSchema.optional() })
  .meta({ id: 'ListedTeam' });
const newTeamIn = z
  .strictObject({ name: nameSchema.meta({ examples: ['Weavers'] }), ownerId: userIdSchema.exactOptional() })
  .meta({ id: 'NewTeam' });

export const teamRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/teams',
    tag: 'Users and teams',
    operationId: 'createTeam',
    summary: 'Create a team',
    description: 'A user becomes the owner of the team that they create. A service names the owner.',
    access: { services: ['onboarding'], persons: 'signedIn' },
    needsIdempotencyKey: true,
    request: { body: newTeamIn },
    answers: { 201: teamOut },
    refusals: ['unknown_owner', 'too_many_teams', 'catalog_not_published'],
    async handle({ body: { name, ownerId } }, { dependencies: { database, temporal }, caller, idempotency }) {
      const actor = caller();
      const owner = ownerFor(actor, ownerId);
      let signal = () => {};
      const answer = await idempotent(database, idempotency(), async (em) => {
        const { id, inboxId } = await createTeam(em, { name, ownerId: owner, actor });
        signal = () => temporal.signal(id, { inboxId, type: 'team.created' });
        return { status: 201, body: { id, name, personal: false } };
      });
      signal();
      return answer;
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams',
    tag: 'Users and teams',
    operationId: 'listTeams',
    summary: 'List my teams',
    description: 'A user gets their teams with their role in each. A service gets all teams, without a role.',
    access: { services: ['onboarding', 'billing', 'admin'], persons: 'signedIn' },
    request: { query: listQuery },
    answers: { 200: pageOf('TeamPage', listedTeamOut) },
    async handle({ query }, { dependencies: { database }, caller }) {
      const actor = caller();
      const filter = actor.kind === 'person' ? { userId: actor.userId } : {};
      return { status: 200, body: await listTeams(database.fork(), { ...query, ...filter }) };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}',
    tag: 'Users and teams',
    operationId: 'readTeam',
    summary: 'Read a team',
    access: { services: ['onboarding', 'usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams },
    answers: { 200: teamOut },
    async handle({ params: { teamId } }, { dependencies: { database } }) {
      const { id, name, personal } = await findTeam(database.fork(), teamId);
      return { status: 200, body: { id, name, personal } };
    },
  }),

  defineRoute({
    method: 'patch',
    path: '/v1/teams/{teamId}',
    tag: 'Users and teams',
    operationId: 'renameTeam',
    summary: 'Rename a team',
    description: 'Its customer at Polar is renamed too. A Personal Team cannot be renamed.',
    access: { services: ['onboarding', 'admin'], persons: memberManagers },
    request: {
      params: teamParams,
      body: z.strictObject({ name: nameSchema.meta({ examples: ['Weavers'] }) }).meta({ id: 'TeamChange' }),
    },
    answers: { 200: teamOut },
    refusals: ['personal_team'],
    async handle({ params: { teamId }, body: { name } }, { dependencies: { database, temporal }, caller }) {
      const actor = caller();
      const renamed = await database.transaction((em) => renameTeam(em, { teamId, name, actor }));
      if (renamed.inboxId !== null)
        temporal.signal(teamId, { inboxId: renamed.inboxId, type: 'team.renamed' });
      return { status: 200, body: renamed.team };
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/teams/{teamId}',
    tag: 'Users and teams',
    operationId: 'deleteTeam',
    summary: 'Delete a team',
    description:
      'Owners and services may delete it. After the answer, the team’s credits cannot be spent and its data cannot be read. Its subscription at Polar then ends and its credits are forfeited. Deleting again returns the same answer. A Personal Team is deleted only with its user.',
    access: { services: ['onboarding', 'admin'], persons: 'signedIn', teamIsCheckedByHandler: true },
    request: { params: teamParams },
    answers: { 202: z.strictObject({ id: teamIdSchema, deletedAt: instantOut }).meta({ id: 'DeletedTeam' }) },
    refusals: ['personal_team'],
    async handle({ params: { teamId } }, { dependencies: { database, temporal }, caller }) {
      const actor = caller();
      const { deletedAt, inboxId } = await database.transaction((em) => deleteTeam(em, { teamId, actor }));
      if (inboxId !== null) temporal.signal(teamId, { inboxId, type: 'team.deleted' });
      return { status: 202, body: { id: teamId, deletedAt: deletedAt.toISOString() } };
    },
  }),
];

function ownerFor(caller: Caller, ownerId: string | undefined): string {
  if (caller.kind === 'person') {
    if (ownerId === undefined || ownerId === caller.userId) return caller.userId;
    throw forbidden(
      'A user who creates a team is its owner: ownerId must be your own id, or be left out',
      {},
    );
  }
  if (ownerId !== undefined) return ownerId;
  throw refuseFields('invalid_request', [
    { path: 'ownerId', message: 'expected the owner’s user id, because a service creates the team' },
  ]);
}
