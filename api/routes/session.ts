import { z } from 'zod';
import { createSession, endSession, endSessionsOf, hashSession } from '../../teams/sessions.ts';
import { defineRoute } from '../define-route.ts';
import { readSessionCookie, removedSessionCookie, sessionCookie } from '../session-cookie.ts';
import { instantOut, userIdSchema } from '../shapes.ts';

const sessionOut = z.strictObject({ userId: userIdSchema, expiresAt: instantOut }).meta({ id: 'Session' });

export const sessionRoutes = [
  defineRoute({
    method: 'post',
    path: '/session',
    tag: 'Users and teams',
    operationId: 'createSession',
    summary: 'Sign a browser in: exchange a user’s JWT for a cookie',
    description:
      'The answer sets the cookie `__Host-waveloom_session`, which no script can read. It is valid for an hour at most, and never longer than the token. Requests with the cookie are requests of the user. With it, a request that changes something must come from our own page (`Sec-Fetch-Site: same-origin`). Pages of `DASHBOARD_ORIGIN` may call this route too.',
    access: { persons: 'signedIn', byTokenOnly: true },
    request: {},
    answers: { 201: sessionOut },
    refusals: ['unknown_user'],
    async handle(_request, { dependencies: { database }, person }) {
      const { userId, validUntil } = person();
      const { secret, expiresAt } = await database.transaction((em) =>
        createSession(em, { userId, until: validUntil }),
      );
      return {
        status: 201,
        body: { userId, expiresAt: expiresAt.toISOString() },
        headers: { 'Set-Cookie': sessionCookie(secret, expiresAt) },
      };
    },
  }),

  defineRoute({
    method: 'delete',
    path: '/session',
    tag: 'Users and teams',
    operationId: 'deleteSession',
    summary: 'Sign out',
    description: 'With a session: ends this session. With a JWT: ends every session of the user.',
    access: { persons: 'signedIn' },
    request: {},
    answers: { 204: null },
    async handle(_request, { dependencies: { database }, headers, person }) {
      const secret = headers.authorization === undefined ? readSessionCookie(headers.cookie) : undefined;
      await database.transaction((em) =>
        secret === undefined ? endSessionsOf(em, person().userId) : endSession(em, hashSession(secret)),
      );
      return { status: 204, headers: { 'Set-Cookie': removedSessionCookie } };
    },
  }),
];
