import { z } from 'zod';
import { idempotent } from '../../teams/idempotent.ts';
import {
  acceptInvitation,
  declineInvitation,
  type Invitee,
  invite,
  listTeamInvitations,
  listUserInvitations,
  revokeInvitation,
  type SentInvitation,
} from '../../teams/invitations.ts';
import { memberManagers } from '../authorize.ts';
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
  .refine((body) => 'userId' in body !== 'email' in body, { error: 'expected either userId or email' })
  .meta({ id: 'NewInvitation', examples: [{ email: 'grace@example.com', role: 'member' }] });

const sentOut = z
  .strictObject({
    id: invitationId,
    userId: userIdSchema.exactOptional(),
    email: z
      .string()
      .exactOptional()
      .meta({ examples: ['grace@example.com'] }),
    role: roleSchema,
    invitedBy: z.string().meta({ examples: ['person:user_42'] }),
    createdAt: instantOut,
    expiresAt: instantOut,
  })
  .meta({
    id: 'SentInvitation',
    examples: [
      {
        id: '01929d7e-8c1f-7a54-b2f6-3a1c9d0e4b52',
        email: 'grace@example.com',
        role: 'member',
        invitedBy: 'person:user_42',
        createdAt: '2026-01-31T12:00:00.000Z',
        expiresAt: '2026-02-07T12:00:00.000Z',
      },
    ],
  });

const teamOut = z
  .strictObject({ id: teamIdSchema, name: z.string().meta({ examples: ['Weavers'] }) })
  .meta({ id: 'NamedTeam' });

const receivedOut = z
  .strictObject({
    id: invitationId,
    team: teamOut,
    role: roleSchema,
    createdAt: instantOut,
    expiresAt: instantOut,
  })
  .meta({ id: 'ReceivedInvitation' });

const acceptedOut = z
  .strictObject({ id: invitationId, team: teamOut, role: roleSchema })
  .meta({ id: 'AcceptedInvitation' });

export const invitationRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/teams/{teamId}/invitations',
    tag: 'Users and teams',
    operationId: 'inviteMember',
    summary: 'Invite a user into the team, or a member to become an owner',
    description:
      'By user id or e-mail. The answer is the same whether or not the user exists, and reveals nothing about them. An invitation is valid for 7 days. A new invitation replaces an open one of the same invitee. Only an owner or a service may invite owners.',
    access: managers,
    needsIdempotencyKey: true,
    request: { params: teamParams, body: invitationIn },
    answers: { 201: sentOut },
    refusals: ['already_member', 'too_many_invitations'],
    async handle({ params: { teamId }, body }, { dependencies: { database }, caller, idempotency }) {
      const actor = caller();
      const { role } = body;
      const invitee = inviteeOf(body);
      return idempotent(database, idempotency(), async (em) => {
        return { status: 201, body: sentJson(await invite(em, { teamId, invitee, role, actor })) };
      });
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/invitations',
    tag: 'Users and teams',
    operationId: 'listTeamInvitations',
    summary: 'List the team’s open invitations',
    access: managers,
    request: { params: teamParams, query: listQuery },
    answers: { 200: pageOf('SentInvitationPage', sentOut) },
    async handle({ params, query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listTeamInvitations(database.fork(), { ...params, ...query });
      return { status: 200, body: { data: data.map(sentJson), nextCursor } };
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/teams/{teamId}/invitations/{invitationId}',
    tag: 'Users and teams',
    operationId: 'revokeInvitation',
    summary: 'Revoke an open invitation',
    access: managers,
    request: { params: teamParams.extend({ invitationId }) },
    answers: { 204: null },
    refusals: ['unknown_invitation'],
    async handle({ params: { teamId, invitationId: id } }, { dependencies: { database }, caller }) {
      const actor = caller();
      await database.transaction((em) => revokeInvitation(em, { teamId, id, actor }));
      return { status: 204 };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/invitations',
    tag: 'Users and teams',
    operationId: 'listMyInvitations',
    summary: 'List my open invitations',
    access: { persons: 'signedIn' },
    request: { query: listQuery },
    answers: { 200: pageOf('ReceivedInvitationPage', receivedOut) },
    async handle({ query }, { dependencies: { database }, person }) {
      const { userId } = person();
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
    operationId: 'acceptInvitation',
    summary: 'Accept an invitation: join the team with the offered role',
    description: 'Accepting again returns the same answer.',
    access: { persons: 'signedIn' },
    request: { params: invitationParams },
    answers: { 200: acceptedOut },
    refusals: ['unknown_invitation'],
    async handle({ params: { invitationId: id } }, { dependencies: { database, temporal }, person }) {
      const { userId } = person();
      const joined = await database.transaction((em) => acceptInvitation(em, { id, userId }));
      const { teamId, teamName, role, inboxId } = joined;
      if (inboxId !== null) temporal.signal(teamId, { inboxId, type: 'members.changed' });
      return { status: 200, body: { id, team: { id: teamId, name: teamName }, role } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/invitations/{invitationId}/decline',
    tag: 'Users and teams',
    operationId: 'declineInvitation',
    summary: 'Decline an invitation',
    description: 'Declining again returns the same answer.',
    access: { persons: 'signedIn' },
    request: { params: invitationParams },
    answers: { 204: null },
    refusals: ['unknown_invitation'],
    async handle({ params: { invitationId: id } }, { dependencies: { database }, person }) {
      const { userId } = person();
      await database.transaction((em) => declineInvitation(em, { id, userId }));
      return { status: 204 };
    },
  }),
];

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

function inviteeOf({ userId, email }: { userId?: string; email?: string }): Invitee {
  if (userId !== undefined) return { userId };
  if (email !== undefined) return { email };
  throw new Error('the schema demands userId or email');
}
