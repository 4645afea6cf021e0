import { z } from 'zod';
import { listMembers, removeMember, setMemberRole } from '../../teams/members.ts';
import { anyRole, memberManagers } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { listQuery, pageOf, roleSchema, teamParams, userIdSchema } from '../shapes.ts';

const member = z.strictObject({
  userId: userIdSchema,
  name: z.string(),
  email: z.string(),
  role: roleSchema,
});
const memberParams = teamParams.extend({ userId: userIdSchema });
const managers = { services: ['onboarding', 'admin'], persons: memberManagers } as const;

export const memberRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/members',
    tag: 'Users and teams',
    summary: 'The team’s members, in the order in which they joined',
    access: { services: ['onboarding', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams, query: listQuery },
    answers: { 200: pageOf(member) },
    refusals: ['invalid_cursor'],
    async handle({ params: { teamId }, query }, { dependencies: { database } }) {
      return { status: 200, body: await listMembers(database.fork(), teamId, query) };
    },
  }),

  defineRoute({
    method: 'put',
    path: '/v1/teams/{teamId}/members/{userId}',
    tag: 'Users and teams',
    summary: 'Change a member’s role',
    description:
      'A service may also place a user in the team, in any role. A person may not: users join, and become owners, by accepting an invitation. Only an owner unmakes owners.',
    access: managers,
    request: { params: memberParams, body: z.strictObject({ role: roleSchema }) },
    answers: { 200: member },
    refusals: ['unknown_member', 'unknown_user', 'consent_required', 'last_owner', 'personal_team_owner'],
    async handle({ params, body }, { dependencies: { database, temporal }, caller }) {
      const by = caller();
      const changed = await database.transaction((em) => setMemberRole(em, { ...params, ...body, by }));
      if (changed.inboxId !== null) temporal.signal(params.teamId, changed.inboxId);
      return { status: 200, body: changed.member };
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/teams/{teamId}/members/{userId}',
    tag: 'Users and teams',
    summary: 'Take a person out of the team, or leave it',
    description:
      'By owner and admin, and by every member for themselves. The last owner invites another owner first, or deletes the team.',
    access: { ...managers, persons: anyRole },
    request: { params: memberParams },
    answers: { 204: null },
    refusals: ['unknown_member', 'last_owner', 'personal_team_owner'],
    async handle({ params }, { dependencies: { database, temporal }, caller }) {
      const by = caller();
      const inboxId = await database.transaction((em) => removeMember(em, { ...params, by }));
      if (inboxId !== null) temporal.signal(params.teamId, inboxId);
      return { status: 204 };
    },
  }),
];
