import { z } from 'zod';
import { listMembers, removeMember, setMemberRole } from '../../teams/members.ts';
import { anyRole, memberManagers } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { listQuery, pageOf, roleSchema, teamParams, userIdSchema } from '../shapes.ts';

const memberOut = z
  .strictObject({
    userId: userIdSchema,
    name: z.string().meta({ examples: ['Ada Lovelace'] }),
    email: z.string().meta({ examples: ['ada@example.com'] }),
    role: roleSchema,
  })
  .meta({ id: 'Member' });
const memberParams = teamParams.extend({ userId: userIdSchema });
const managers = { services: ['onboarding', 'admin'], persons: memberManagers } as const;

export const memberRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/members',
    tag: 'Users and teams',
    operationId: 'listMembers',
    summary: 'List the members of the team, in the order in which they joined',
    access: { services: ['onboarding', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams, query: listQuery },
    answers: { 200: pageOf('MemberPage', memberOut) },
    async handle({ params: { teamId }, query }, { dependencies: { database } }) {
      return { status: 200, body: await listMembers(database.fork(), teamId, query) };
    },
  }),

  defineRoute({
    method: 'put',
    path: '/v1/teams/{teamId}/members/{userId}',
    tag: 'Users and teams',
    operationId: 'setMemberRole',
    summary: 'Change a member’s role',
    description:
      'A service may also add a user to the team, with any role. A user may not: users join, and become owners, by accepting an invitation. Only an owner may change the role of an owner.',
    access: managers,
    request: { params: memberParams, body: z.strictObject({ role: roleSchema }).meta({ id: 'NewRole' }) },
    answers: { 200: memberOut },
    refusals: ['unknown_member', 'unknown_user', 'consent_required', 'last_owner', 'personal_team_owner'],
    async handle({ params, body }, { dependencies: { database, temporal }, caller }) {
      const actor = caller();
      const changed = await database.transaction((em) => setMemberRole(em, { ...params, ...body, actor }));
      if (changed.inboxId !== null)
        temporal.signal(params.teamId, { inboxId: changed.inboxId, type: 'members.changed' });
      return { status: 200, body: changed.member };
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/teams/{teamId}/members/{userId}',
    tag: 'Users and teams',
    operationId: 'removeMember',
    summary: 'Remove a member, or leave the team',
    description:
      'Owners and admins may remove members. Every member may leave. The last owner must first invite another owner, or delete the team.',
    access: { ...managers, persons: anyRole },
    request: { params: memberParams },
    answers: { 204: null },
    refusals: ['unknown_member', 'last_owner', 'personal_team_owner'],
    async handle({ params }, { dependencies: { database, temporal }, caller }) {
      const actor = caller();
      const inboxId = await database.transaction((em) => removeMember(em, { ...params, actor }));
      if (inboxId !== null) temporal.signal(params.teamId, { inboxId, type: 'members.changed' });
      return { status: 204 };
    },
  }),
];
