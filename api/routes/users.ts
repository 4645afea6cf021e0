import { z } from 'zod';
import { changeUser } from '../../teams/change-names.ts';
import { deleteUser } from '../../teams/delete-user.ts';
import { signUp } from '../../teams/sign-up.ts';
import { forbidden } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { emailSchema, instantOut, nameSchema, teamIdSchema, userIdSchema } from '../shapes.ts';

const userShape = { id: userIdSchema, email: emailSchema, name: nameSchema };

const signedUp = z.strictObject({
  user: z.strictObject(userShape),
  team: z.strictObject({ id: teamIdSchema, name: z.string(), personal: z.literal(true) }),
});

export const userRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/users',
    tag: 'Users and teams',
    summary: 'Sign a person up',
    description:
      'Makes the user and their Personal Team; trial credits follow. The id is the key: the same again answers 200 with the same.',
    access: { services: ['onboarding'] },
    request: { body: z.strictObject(userShape) },
    answers: { 200: signedUp, 201: signedUp },
    refusals: ['user_conflict', 'email_taken', 'user_erased'],
    async handle({ body }, { dependencies: { database, temporal }, caller }) {
      const { user, team, inboxId } = await signUp(database, body, caller());
      if (inboxId !== null) temporal.signal(team.id, inboxId);
      return { status: inboxId === null ? 200 : 201, body: { user, team: { ...team, personal: true } } };
    },
  }),

  defineRoute({
    method: 'patch',
    path: '/v1/users/{userId}',
    tag: 'Users and teams',
    summary: 'Change a user’s e-mail or name',
    description:
      'By a service; a person may change their own name. Invitations go by e-mail, so only the platform, which checks that an e-mail is theirs, changes it. The members at Polar follow.',
    access: { services: ['onboarding', 'admin'], persons: 'signedIn' },
    request: {
      params: z.strictObject({ userId: userIdSchema }),
      body: z
        .strictObject({ email: emailSchema.exactOptional(), name: nameSchema.exactOptional() })
        .refine((body) => Object.keys(body).length > 0, { error: 'expected email, name or both' }),
    },
    answers: { 200: z.strictObject(userShape) },
    refusals: ['unknown_user', 'email_taken'],
    async handle({ params: { userId: id }, body }, { dependencies: { database, temporal }, caller }) {
      const by = caller();
      if (by.kind === 'person' && (by.userId !== id || body.email !== undefined)) {
        throw forbidden(
          'A person may change no more than their own name: ask the platform for another e-mail',
          {},
        );
      }
      const { user, toSignal } = await database.transaction((em) => changeUser(em, { id, by, ...body }));
      for (const { teamId, inboxId } of toSignal) temporal.signal(teamId, inboxId);
      return { status: 200, body: user };
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/users/{userId}',
    tag: 'Users and teams',
    summary: 'Erase a person',
    description:
      'By the person, or a service. Name, e-mail and memberships are gone with the answer, and the Personal Team, with all its credits, and teams whose only member they are; what Polar knows of them follows. The ledger keeps the id. Asked again, it answers the same.',
    access: { services: ['onboarding', 'admin'], persons: 'signedIn' },
    request: { params: z.strictObject({ userId: userIdSchema }) },
    answers: { 202: z.strictObject({ id: userIdSchema, erasedAt: instantOut }) },
    refusals: ['unknown_user', 'last_owner'],
    async handle({ params: { userId } }, { dependencies: { database, temporal }, caller }) {
      const asking = caller();
      if (asking.kind === 'person' && asking.userId !== userId) {
        throw forbidden('A person may erase nobody but themselves', {});
      }
      const { erasedAt, tell } = await deleteUser(database, userId, asking);
      for (const { teamId, inboxId } of tell) temporal.signal(teamId, inboxId);
      return { status: 202, body: { id: userId, erasedAt: erasedAt.toISOString() } };
    },
  }),
];
