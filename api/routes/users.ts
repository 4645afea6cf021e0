import { z } from 'zod';
import { changeUser } from '../../teams/change-names.ts';
import { deleteUser } from '../../teams/delete-user.ts';
import { readUser } from '../../teams/find-user.ts';
import { signUp } from '../../teams/sign-up.ts';
import { forbidden } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { emailSchema, instantOut, nameSchema, teamIdSchema, userIdSchema } from '../shapes.ts';

const userShape = { id: userIdSchema, email: emailSchema, name: nameSchema };

const userSchema = z.strictObject(userShape).meta({ id: 'User' });
const userChangeIn = z
  .strictObject({ email: emailSchema.exactOptional(), name: nameSchema.exactOptional() })
  .refine((body) => Object.keys(body).length > 0, { error: 'expected email, name or both' })
  .meta({ id: 'UserChange' });
const personalTeamOut = z
  .strictObject({
    id: teamIdSchema,
    name: z.string().meta({ examples: ['Personal Team'] }),
    personal: z.literal(true),
  })
  .meta({ id: 'PersonalTeam' });
const signUpOut = z.strictObject({ user: userSchema, team: personalTeamOut }).meta({ id: 'SignUp' });

export const userRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/users',
    tag: 'Users and teams',
    operationId: 'signUpUser',
    summary: 'Sign a user up',
    description:
      'Creates the user and their Personal Team; trial credits follow. The user id is the idempotency key: the same request again returns 200 with the same answer.',
    access: { services: ['onboarding'] },
    request: { body: userSchema },
    answers: { 200: signUpOut, 201: signUpOut },
    refusals: ['user_conflict', 'email_taken', 'user_erased'],
    async handle({ body }, { dependencies: { database, temporal }, caller }) {
      const { user, team, inboxId } = await signUp(database, body, caller());
      if (inboxId !== null) temporal.signal(team.id, { inboxId, type: 'team.created' });
      return { status: inboxId === null ? 200 : 201, body: { user, team: { ...team, personal: true } } };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/me',
    tag: 'Users and teams',
    operationId: 'readMe',
    summary: 'Read who I am',
    description: 'For a page with a session. `GET /v1/teams` lists my teams, each with my role.',
    access: { persons: 'signedIn' },
    request: {},
    answers: { 200: userSchema },
    refusals: ['unknown_user'],
    async handle(_request, { dependencies: { database }, person }) {
      return { status: 200, body: await readUser(database.fork(), person().userId) };
    },
  }),

  defineRoute({
    method: 'patch',
    path: '/v1/users/{userId}',
    tag: 'Users and teams',
    operationId: 'changeUser',
    summary: 'Change a user’s e-mail or name',
    description:
      'Services may change both; a user may change only their own name. Invitations are matched by e-mail, so only the platform, which verifies e-mail addresses, may change one. The members at Polar are changed too.',
    access: { services: ['onboarding', 'admin'], persons: 'signedIn' },
    request: {
      params: z.strictObject({ userId: userIdSchema }),
      body: userChangeIn,
    },
    answers: { 200: userSchema },
    refusals: ['unknown_user', 'email_taken'],
    async handle({ params: { userId: id }, body }, { dependencies: { database, temporal }, caller }) {
      const actor = caller();
      if (actor.kind === 'person' && (actor.userId !== id || body.email !== undefined)) {
        throw forbidden('A user may only change their own name: ask the platform to change an e-mail', {});
      }
      const { user, toSignal } = await database.transaction((em) => changeUser(em, { id, actor, ...body }));
      for (const { teamId, inboxId } of toSignal)
        temporal.signal(teamId, { inboxId, type: 'members.changed' });
      return { status: 200, body: user };
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/users/{userId}',
    tag: 'Users and teams',
    operationId: 'eraseUser',
    summary: 'Erase a user',
    description:
      'Users may erase themselves; services may erase any user. When the answer arrives, their name, e-mail and memberships are deleted. Their Personal Team, its credits, and teams without another member are deleted too. Their data at Polar is deleted afterwards. The ledger keeps the id. Erasing again returns the same answer.',
    access: { services: ['onboarding', 'admin'], persons: 'signedIn' },
    request: { params: z.strictObject({ userId: userIdSchema }) },
    answers: { 202: z.strictObject({ id: userIdSchema, erasedAt: instantOut }).meta({ id: 'ErasedUser' }) },
    refusals: ['unknown_user', 'last_owner'],
    async handle({ params: { userId } }, { dependencies: { database, temporal }, caller }) {
      const actor = caller();
      if (actor.kind === 'person' && actor.userId !== userId) {
        throw forbidden('A user may only erase themselves', {});
      }
      const { erasedAt, toSignal } = await deleteUser(database, userId, actor);
      for (const { teamId, event } of toSignal) temporal.signal(teamId, event);
      return { status: 202, body: { id: userId, erasedAt: erasedAt.toISOString() } };
    },
  }),
];
