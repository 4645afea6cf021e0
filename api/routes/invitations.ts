import { z } from 'zod';
import { idempotent } from '../../teams/idempotent.ts';
import {
  acceptInvitation,
  declineInvitation,
  invite,
  listTeamInvitations,
  listUserInvitations,
  revokeInvitation,
  type SentInvitation,
} from '../../teams/invitations.ts';
import type { Caller } from '../authenticate.ts';
import { forbidden, memberManagers } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import {
  emailSchema,
  instantOut,
  listQuery,
  pageOf,
  roleSchema,
  teamIdSchema,
  teamParams,
  userIdSchema,
} from '../shapes.ts';

const managers = { services: ['onboarding', 'admin'], persons: memberManagers } as const;

const invitationId = z
  .guid({ error: 'expected an invitation id: a UUID' })
  .toLowerCase()
  .meta({ description: 'The invitation’s id' });
const invitationParams = z.object({ invitationId });

const invitationIn = z
  .strictObject({
    userId: userIdSchema.exactOptional(),
    email: emailSchema.exactOptional(),
    role: roleSchema,
  })
  .refine((body) => 'userId' in body !== 'email' in body, { error: 'expected either userId or email' });

const sentOut = z.strictObject({
  id: invitationId,
  userId: userIdSchema.exactOptional(),
  email: z.string().exactOptional(),
  role: roleSchema,
  invitedBy: z.string(),
  createdAt: instantOut,
  expiresAt: instantOut,
});

const teamOut = z.strictObject({ id: teamIdSchema, name: z.string() });

const receivedOut = z.strictObject({
  id: invitationId,
  team: teamOut,
  role: roleSchema,
  createdAt: instantOut,
  expiresAt: instantOut,
});

export const invitationRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/teams/{teamId}/invitations',
    tag: 'Users and teams',
    summary: 'Invite somebody into the team, or a member to become an owner',
    description:
      'By user id or e-mail. The answer is the same whether or not there is such a user, and says nothing of them. Good for 7 days; a new invitation replaces an open one of the same invitee. Only an owner (or a service) invites owners.',
    access: managers,
    needsIdempotencyKey: true,
    request: { params: teamParams, body: invitationIn },
    answers: { 201: sentOut },
    refusals: ['already_member', 'too_many_invitations'],
    async handle({ params: { teamId }, body }, { dependencies: { database }, caller, idempotency }) {
      const by = caller();
      const { userId, email, role } = body;
      const invitee = userId === undefined ? { email: email ?? '' } : { userId };
      return idempotent(database, idempotency(), async (em) => {
        return { status: 201, body: sentJson(await invite(em, { teamId, invitee, role, by })) };
      });
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/invitations',
    tag: 'Users and teams',
    summary: 'The team’s open invitations',
    access: managers,
    request: { params: teamParams, query: listQuery },
    answers: { 200: pageOf(sentOut) },
    refusals: ['invalid_cursor'],
    async handle({ params, query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listTeamInvitations(database.fork(), { ...params, ...query });
      return { status: 200, body: { data: data.map(sentJson), nextCursor } };
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/teams/{teamId}/invitations/{invitationId}',
    tag: 'Users and teams',
    summary: 'Take an open invitation back',
    access: managers,
    request: { params: teamParams.extend({ invitationId }) },
    answers: { 204: null },
    refusals: ['unknown_invitation'],
    async handle({ params: { teamId, invitationId: id } }, { dependencies: { database }, caller }) {
      const by = caller();
      await database.transaction((em) => revokeInvitation(em, { teamId, id, by }));
      return { status: 204 };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/invitations',
    tag: 'Users and teams',
    summary: 'My open invitations',
    access: { persons: 'signedIn' },
    request: { query: listQuery },
    answers: { 200: pageOf(receivedOut) },
    refusals: ['invalid_cursor'],
    async handle({ query }, { dependencies: { database }, caller }) {
      const userId = personOf(caller());
      const { data, nextCursor } = await listUserInvitations(database.fork(), { userId, ...query });
      const invitations = data.map(({ id, teamId, teamName, role, createdAt, expiresAt }) => ({
        id,
        team: { id: teamId, name: teamName },
        role,
        createdAt: createdAt.toISOString(),
        expiresAt: expiresAt.toISOString(),
      }));
      return { status: 200, body: { data: invitations, nextCursor } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/invitations/{invitationId}/accept',
    tag: 'Users and teams',
    summary: 'Join the team that invites me, with the role that it offers',
    description: 'Accepted again, it answers the same.',
    access: { persons: 'signedIn' },
    request: { params: invitationParams },
    answers: { 200: z.strictObject({ id: invitationId, team: teamOut, role: roleSchema }) },
    refusals: ['unknown_invitation'],
    async handle({ params: { invitationId: id } }, { dependencies: { database, temporal }, caller }) {
      const userId = personOf(caller());
      const joined = await database.transaction((em) => acceptInvitation(em, { id, userId }));
      const { teamId, teamName, role, inboxId } = joined;
      if (inboxId !== null) temporal.signal(teamId, inboxId);
      return { status: 200, body: { id, team: { id: teamId, name: teamName }, role } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/invitations/{invitationId}/decline',
    tag: 'Users and teams',
    summary: 'Decline an invitation',
    description: 'Declined again, it answers the same.',
    access: { persons: 'signedIn' },
    request: { params: invitationParams },
    answers: { 204: null },
    refusals: ['unknown_invitation'],
    async handle({ params: { invitationId: id } }, { dependencies: { database }, caller }) {
      const userId = personOf(caller());
      await database.transaction((em) => declineInvitation(em, { id, userId }));
      return { status: 204 };
    },
  }),
];

function personOf(caller: Caller): string {
  if (caller.kind === 'person') return caller.userId;
  throw forbidden('This is for persons, not for services', { allowedScopes: [] });
}

function sentJson({ id, userId, email, role, invitedBy, createdAt, expiresAt }: SentInvitation) {
  return {
    id,
    ...(userId === null ? {} : { userId }),
    ...(email === null ? {} : { email }),
    role,
    invitedBy,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
  };
}
