import { z } from 'zod';
import { DomainError } from '../../domain-error.ts';
import { optOut, readNotifications, setNotifications } from '../../outbox/email/notifications.ts';
import { type EmailCategory, type OptOut, readOptOutToken } from '../../outbox/email/recipients.ts';
import type { Person } from '../authenticate.ts';
import { forbidden } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import type { Dependencies } from '../dependencies.ts';
import { userIdSchema } from '../shapes.ts';

const notifications = z
  .strictObject({
    email: z
      .strictObject({
        credits: z.boolean().meta({ description: 'Credits are low, used up or expire; a limit is reached' }),
        payments: z.boolean().meta({ description: 'A renewal could not be paid' }),
        invitations: z.boolean().meta({ description: 'Invitations to teams' }),
      })
      .meta({ id: 'EmailNotifications' }),
  })
  .meta({ id: 'Notifications', description: 'Which e-mails the user gets; by default all' });

const userParams = z.strictObject({ userId: userIdSchema });
const tokenParams = z.strictObject({
  token: z
    .string()
    .max(300)
    .meta({
      description: 'From the link in the e-mail',
      examples: ['credits.dXNlcjp1c2VyXzQy.c2lnbmF0dXJl'],
    }),
});

export const notificationRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/users/{userId}/notifications',
    tag: 'Users and teams',
    operationId: 'readNotifications',
    summary: 'Read which e-mails I get',
    description: 'E-mails go to the owners, admins and billing members of a team.',
    access: { persons: 'signedIn' },
    request: { params: userParams },
    answers: { 200: notifications },
    refusals: ['unknown_user'],
    async handle({ params: { userId } }, { dependencies: { database }, person }) {
      refuseOthers(person(), userId);
      return { status: 200, body: { email: await readNotifications(database.fork(), userId) } };
    },
  }),

  defineRoute({
    method: 'put',
    path: '/v1/users/{userId}/notifications',
    tag: 'Users and teams',
    operationId: 'setNotifications',
    summary: 'Set which e-mails I get',
    access: { persons: 'signedIn' },
    request: { params: userParams, body: notifications },
    answers: { 200: notifications },
    refusals: ['unknown_user'],
    async handle({ params: { userId }, body }, { dependencies: { database }, person }) {
      refuseOthers(person(), userId);
      await database.transaction((em) => setNotifications(em, userId, body.email));
      return { status: 200, body };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/email-opt-outs/{token}',
    tag: 'Users and teams',
    operationId: 'showEmailOptOut',
    summary: 'Show the page that stops e-mails of a kind',
    description:
      'The link in each e-mail. It changes nothing, because programs that check links open them too.',
    access: 'public',
    request: { params: tokenParams },
    answers: { 200: null },
    refusals: ['unknown_email_link'],
    async handle({ params: { token } }, { dependencies }) {
      const { category } = readToken(dependencies, token);
      const form = '<form method="post"><button>Stop these e-mails</button></form>';
      return page(`<p>Stop e-mails about ${subjects[category]}?</p>${form}`);
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/email-opt-outs/{token}',
    tag: 'Users and teams',
    operationId: 'optOutOfEmails',
    summary: 'Stop e-mails of a kind',
    description:
      'With the link in an e-mail, by its page or by the mail program (one click, RFC 8058). The body is ignored. A repetition changes nothing.',
    access: 'public',
    request: { params: tokenParams },
    answers: { 200: null },
    refusals: ['unknown_email_link'],
    async handle({ params: { token } }, { dependencies }) {
      const stopped = readToken(dependencies, token);
      await optOut(dependencies.database.fork(), stopped);
      return page(`<p>You get no more e-mails about ${subjects[stopped.category]}.</p>`);
    },
  }),
];

const subjects: Record<EmailCategory, string> = {
  credits: 'credits and limits of teams',
  payments: 'payments of teams',
  invitations: 'invitations to teams',
};

/** @throws DomainError `unknown_email_link` */
function readToken({ email }: Dependencies, token: string): OptOut {
  const read = readOptOutToken(email.tokenSecrets, token);
  if (read) return read;
  throw new DomainError('unknown_email_link', 'The link is not complete: open it from the e-mail again');
}

function refuseOthers(person: Person, userId: string): void {
  if (person.userId === userId) return;
  throw forbidden('A user may only read and set their own notifications', {});
}

function page(body: string) {
  const head = '<meta charset="utf-8"><title>E-mails of Waveloom</title>';
  return {
    status: 200,
    body: `<!doctype html><html lang="en"><head>${head}</head><body>${body}</body></html>\n`,
    contentType: 'text/html',
  };
}
