import { z } from 'zod';
import { signUp } from '../../teams/sign-up.ts';
import { defineRoute } from '../define-route.ts';
import { nameSchema, teamIdSchema, userIdSchema } from '../shapes.ts';

const userShape = { id: userIdSchema, email: z.email().max(254), name: nameSchema };

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
    refusals: { 409: 'user_conflict', 410: 'user_erased' },
    async handle({ body }, { dependencies: { database, temporal } }) {
      const { user, team, inboxId } = await signUp(database, body);
      if (inboxId !== null) temporal.signal(team.id, inboxId);
      return { status: inboxId === null ? 200 : 201, body: { user, team: { ...team, personal: true } } };
    },
  }),
];
