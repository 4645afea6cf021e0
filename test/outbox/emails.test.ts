import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { readKeptMails } from '../../api/dev-mail.ts';
import type { Role } from '../../database/entities/member.ts';
import { type MailServer, type SmtpRefusal, startMailServer } from '../../dev/mail-server.ts';
import { createMailer, type Mailer } from '../../outbox/email/mailer.ts';
import { optOut, readNotifications, setNotifications } from '../../outbox/email/notifications.ts';
import { createOptOutToken, readOptOutToken } from '../../outbox/email/recipients.ts';
import { sendDueEmails } from '../../outbox/email/send-due-emails.ts';
import { signalEmails, signalOverdueEmailsAgain } from '../../outbox/email/signal-emails.ts';
import { quoteName } from '../../outbox/email/write-email.ts';
import { type Message, storeMessages } from '../../outbox/messages.ts';
import { invite, revokeInvitation } from '../../teams/invitations.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { insertTeam } from '../setup/insert-team.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const start = new Date('2026-03-10T12:00:00Z');
const minute = 60_000;
const hour = 60 * minute;
const tokenSecret = 'a-token-secret-of-the-tests-0123456789';
const publicUrl = 'https://billing.example.com';
const settings = { tokenSecret, operator: 'operator@example.com', publicUrl };
const limits = { emailsPerTeamAndDay: 100, emailsPerRecipientAndDay: 20 };

const { testDatabase, database } = useTestDatabase({ pool: 12 });
let clock: SettableClock;
let folder: string;
let server: MailServer;
let port: number;
let mailer: Mailer;
let answer: (recipient: string) => SmtpRefusal | undefined;

beforeAll(async () => {
  clock = await settableClock(testDatabase.url, start);
});
beforeEach(async () => {
  await clock.set(start);
  await database.pool.query('delete from emails');
  folder = await mkdtemp(join(tmpdir(), 'waveloom-mail-'));
  answer = () => undefined;
  server = await startMailServer({ port: 0, folder, answer: (recipient) => answer(recipient) });
  port = Number(new URL(server.url).port);
  mailer = mailerTo(port);
});
afterEach(async () => {
  mailer.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const mailerTo = (to: number, more = {}) =>
  createMailer({
    host: '127.0.0.1',
    port: to,
    tls: false,
    requireTls: false,
    user: undefined,
    password: undefined,
    from: { name: 'Waveloom Billing', address: 'billing@waveloom.example' },
    ...more,
  });
const send = (more: Partial<Parameters<typeof sendDueEmails>[1]> = {}) =>
  sendDueEmails(database, { mailer, settings, limits, signal: new AbortController().signal, ...more });
const advance = (ms: number) => clock.set(new Date(clock.now().getTime() + ms));
const mails = async () => (await readKeptMails(folder)).reverse();
const recipients = async () => (await mails()).map(({ to }) => to.join()).sort();
const statuses = async () => {
  const { rows } = await database.pool.query<{ status: string; reason: string | null }>(
    'select status, reason from emails order by created_at, recipient',
  );
  return rows.map(({ status, reason }) => (reason === null ? status : `${status}: ${reason}`));
};

async function newUser(name: string): Promise<string> {
  const id = `${name}_${uuidv7().slice(-12)}`;
  await database.pool.query(
    `with team as (insert into teams (id, name, personal) values ($2, 'Personal Team', true))
     insert into users (id, email, name, personal_team_id, created_at) values ($1, $1 || '@example.com', 'x', $2, $3)`,
    [id, uuidv7(), start],
  );
  return id;
}
async function newTeam(members: Record<string, Role>, name = 'Weavers'): Promise<string> {
  const teamId = await insertTeam(database.pool, name);
  for (const [userId, role] of Object.entries(members)) {
    await database.pool.query(
      'insert into members (team_id, user_id, role, created_at) values ($1, $2, $3, $4)',
      [teamId, userId, role, start],
    );
  }
  return teamId;
}
const exhausted = (teamId: string): Message => ({
  type: 'credits.exhausted',
  data: { teamId, available: '0' },
});
const store = (...messages: Message[]) =>
  database.transaction((em) => storeMessages(em, messages, clock.now()));

test('an alert is sent once to each owner, admin and billing member, and not to members', async () => {
  const [ada, bob, eve, max] = await Promise.all(['ada', 'bob', 'eve', 'max'].map(newUser));
  const teamId = await newTeam({
    [ada ?? '']: 'owner',
    [bob ?? '']: 'admin',
    [eve ?? '']: 'billing',
    [max ?? '']: 'member',
  });
  await store(exhausted(teamId));
  expect(await send()).toEqual({ nextAt: null, failure: null });
  await send();
  expect(await recipients()).toEqual([ada, bob, eve].map((id) => `${id}@example.com`).sort());
});

test('an e-mail has a text, an HTML part, its own Message-ID, and links to stop e-mails with one click', async () => {
  const ada = await newUser('ada');
  const teamId = await newTeam({ [ada]: 'owner' });
  const low: Message = {
    type: 'credits.low',
    data: { teamId, available: '1234.5', thresholds: [{ threshold: '20%', credits: '1300' }] },
  };
  await store(low);
  await send();
  const [mail] = await mails();
  const { rows } = await database.pool.query<{ id: string }>('select id from emails');
  expect(mail?.headers).toMatchObject({
    'message-id': `<${rows[0]?.id}@waveloom.example>`,
    from: 'Waveloom Billing <billing@waveloom.example>',
    'auto-submitted': 'auto-generated',
    'list-unsubscribe-post': 'List-Unsubscribe=One-Click',
  });
  expect(mail?.subject).toBe('Credits of “Weavers” are low');
  const facts = [
    'has 1,234.5 credits left (10 March 2026, 12:00 UTC)',
    '20% (1,300 credits)',
    `/teams/${teamId}/billing`,
  ];
  for (const fact of facts) expect([mail?.text, mail?.html]).toEqual([textWith(fact), textWith(fact)]);
  const [, url = ''] = /^<(.+)>$/.exec(mail?.headers['list-unsubscribe'] ?? '') ?? [];
  expect(mail?.text).toContain(url);
  const token = url.replace(`${publicUrl}/v1/email-opt-outs/`, '');
  expect(readOptOutToken([tokenSecret], token)).toEqual({ recipient: `user:${ada}`, category: 'credits' });
});
const textWith = (text: string) => expect.stringContaining(text);

test('every type of alert has a template, and the operator gets what concerns the service', async () => {
  const ada = await newUser('ada');
  const teamId = await newTeam({ [ada]: 'owner' });
  const messages: Message[] = [
    {
      type: 'credits.low',
      data: { teamId, available: '1', thresholds: [{ threshold: '100', credits: '100' }] },
    },
    {
      type: 'credits.expiring',
      data: { teamId, expiresAt: '2026-03-17T00:00:00.000Z', daysAhead: 7, credits: '90', unused: '40' },
    },
    {
      type: 'limit.reached',
      data: {
        teamId,
        level: 'member',
        subjectId: 'user_42',
        limit: '10',
        per: 'day',
        used: '10',
        windowStart: start.toISOString(),
      },
    },
    { type: 'payment.past_due', data: { teamId, subscriptionId: 'sub', plan: 'pro_monthly' } },
    {
      type: 'webhook_endpoint.disabled',
      data: { endpointId: uuidv7(), url: 'https://example.com/hook', reason: 'gone' },
    },
    // No e-mail is sent for these.
    { type: 'credits.expired', data: { teamId, credits: '1', grants: [] } },
  ];
  for (const message of messages) await store(message);
  await store(exhausted(teamId));
  await send();
  expect((await mails()).map(({ subject }) => subject).sort()).toEqual([
    'A limit of “Weavers” is reached',
    'A payment of “Weavers” failed',
    'A webhook endpoint is disabled',
    'Credits of “Weavers” are low',
    'Credits of “Weavers” expire soon',
    '“Weavers” has no credits left',
  ]);
  const limit = (await mails()).find(({ subject }) => subject === 'A limit of “Weavers” is reached');
  expect(limit?.text).toContain(
    'has used 10 credits of a limit of 10 credits per day (10 March 2026, 12:00 UTC).',
  );
  expect(limit?.text).toContain('refused until the next day,');
  const toOperator = (await mails()).filter(({ to }) => to.includes('operator@example.com'));
  expect(toOperator.map(({ subject, headers }) => [subject, headers['list-unsubscribe']])).toEqual([
    ['A webhook endpoint is disabled', undefined],
  ]);
});

test('if one commit crosses a threshold and uses the last credits, one e-mail is sent', async () => {
  const ada = await newUser('ada');
  const teamId = await newTeam({ [ada]: 'owner' });
  const low: Message = {
    type: 'credits.low',
    data: { teamId, available: '0', thresholds: [{ threshold: '20%', credits: '100' }] },
  };
  await store(low, exhausted(teamId));
  await send();
  expect((await mails()).map(({ subject }) => subject)).toEqual(['“Weavers” has no credits left']);
});

test('an e-mail without an operator’s address is skipped', async () => {
  await store({
    type: 'webhook_endpoint.disabled',
    data: { endpointId: uuidv7(), url: 'https://example.com/hook', reason: 'failing' },
  });
  await send({ settings: { ...settings, operator: undefined } });
  expect([await mails(), await statuses()]).toEqual([[], ['skipped: MAIL_OPERATOR is not set']]);
});

test('a hostile team name cannot add headers, markup, links or recipients', async () => {
  const ada = await newUser('ada');
  const name =
    '<img src=x>\r\nBcc: victim@example.com\n\u202ehttps://evil.example/win?a=1&b=2 "free"\u2028credits';
  const teamId = await newTeam({ [ada]: 'owner' }, name);
  await store(exhausted(teamId));
  await send();
  const [mail, ...more] = await mails();
  expect(more).toEqual([]);
  expect(mail?.to).toEqual([`${ada}@example.com`]);
  expect(mail?.headers.bcc).toBeUndefined();
  expect(mail?.html).not.toContain('<img');
  for (const text of [mail?.subject, mail?.text, mail?.html]) {
    expect(text).not.toMatch(/https:\/\/evil|evil\.example|victim@|[\u202e\u2028]/);
  }
  expect(quoteName('x'.repeat(500))).toHaveLength(62);
});

test('while the SMTP server is down no e-mail is lost and none is sent twice', async () => {
  const [ada, bob] = [await newUser('ada'), await newUser('bob')];
  const teamId = await newTeam({ [ada]: 'owner', [bob]: 'admin' });
  await store(exhausted(teamId));
  await server.stop();
  for (let hours = 0; hours < 5; hours += 1) {
    const { nextAt, failure } = await send();
    expect(nextAt?.getTime()).toBe(clock.now().getTime() + minute);
    expect(failure).toMatch(/^ESOCKET|^ECONNECTION/);
    expect(failure).not.toContain('@');
    await advance(hour);
  }
  server = await startMailServer({ port, folder });
  await send();
  await send();
  expect(await recipients()).toEqual([`${ada}@example.com`, `${bob}@example.com`].sort());
});

test('if an e-mail cannot be recorded, its round has ended when it fails, and the next one sends no other e-mail twice', async () => {
  const people = await Promise.all(Array.from({ length: 20 }, (_, index) => newUser(`member${index}`)));
  await store(exhausted(await newTeam(Object.fromEntries(people.map((id) => [id, 'owner' as const])))));
  await database.pool.query(`
    create function fail() returns trigger language plpgsql as $$ begin raise 'out of order'; end $$;
    create trigger fail before update on emails for each row when (old.recipient = 'user:${people[0]}') execute function fail()`);
  await expect(send()).rejects.toThrow('out of order');
  await database.pool.query('drop trigger fail on emails; drop function fail()');
  await send();
  const sent = await recipients();
  expect(sent.filter((to) => to !== `${people[0]}@example.com`)).toHaveLength(19);
  expect(await statuses()).toEqual(Array(20).fill('sent'));
});

test('a server that refuses our credentials refuses no e-mail', async () => {
  const ada = await newUser('ada');
  const teamId = await newTeam({ [ada]: 'owner' });
  const strict = await startMailServer({ port: 0, folder, user: 'billing' });
  const to = (user: string) => mailerTo(Number(new URL(strict.url).port), { user, password: 'secret' });
  await store(exhausted(teamId));
  const [wrong, right] = [to('somebody'), to('billing')];
  expect(await send({ mailer: wrong })).toMatchObject({ failure: expect.stringContaining('EAUTH 535') });
  await advance(5 * minute);
  expect(await send({ mailer: right })).toEqual({ nextAt: null, failure: null });
  expect(await recipients()).toEqual([`${ada}@example.com`]);
  wrong.close();
  right.close();
  await strict.stop();
});

test('a refused recipient is not tried again, a busy one is, and neither delays the others', async () => {
  const [gone, busy, fine] = [await newUser('gone'), await newUser('busy'), await newUser('fine')];
  const teamId = await newTeam({ [gone]: 'owner', [busy]: 'owner', [fine]: 'owner' });
  answer = (recipient) =>
    recipient.startsWith('gone')
      ? { code: 550, text: `no such user ${recipient}` }
      : recipient.startsWith('busy')
        ? { code: 451, text: 'try again later' }
        : undefined;
  await store(exhausted(teamId));
  const { nextAt } = await send();
  expect(nextAt?.getTime()).toBe(start.getTime() + minute);
  expect(await recipients()).toEqual([`${fine}@example.com`]);
  expect(await statuses()).toEqual([
    'pending: EENVELOPE 451 RCPT TO',
    'sent',
    'refused: EENVELOPE 550 RCPT TO',
  ]);
  answer = () => undefined;
  await advance(minute);
  await send();
  expect(await recipients()).toEqual([`${busy}@example.com`, `${fine}@example.com`]);
});

test('an e-mail that this release cannot write waits, and delays no other', async () => {
  const ada = await newUser('ada');
  const teamId = await newTeam({ [ada]: 'owner' });
  const ofNextRelease = { teamId, available: '0', addedLater: true };
  await store({ type: 'credits.exhausted', data: ofNextRelease } as Message, exhausted(teamId));
  const { nextAt } = await send();
  expect(await recipients()).toEqual([`${ada}@example.com`]);
  expect(await statuses()).toEqual(
    expect.arrayContaining(['sent', 'pending: it cannot be written by this release']),
  );
  expect(nextAt).toEqual(new Date(start.getTime() + minute));
  await advance(3 * 24 * hour + minute);
  expect(await send()).toEqual({ nextAt: null, failure: null });
  expect(await statuses()).toEqual(expect.arrayContaining(['sent', 'skipped: too old']));
});

test('a user who opts out gets no e-mails of that category, until they opt in again', async () => {
  const ada = await newUser('ada');
  const teamId = await newTeam({ [ada]: 'owner' });
  const { recipient, category } =
    readOptOutToken(
      [tokenSecret],
      createOptOutToken(tokenSecret, { recipient: `user:${ada}`, category: 'credits' }),
    ) ?? {};
  if (!recipient || !category) throw new Error('the token is not valid');
  await store(exhausted(teamId)); // waits while they opt out
  for (let n = 0; n < 2; n += 1) await database.transaction((em) => optOut(em, { recipient, category }));
  await store({ type: 'payment.past_due', data: { teamId, subscriptionId: 'sub', plan: 'pro_monthly' } });
  await send();
  expect((await mails()).map(({ subject }) => subject)).toEqual(['A payment of “Weavers” failed']);
  const all = { credits: true, payments: true, invitations: true };
  expect(await readNotifications(database.fork(), ada)).toEqual({ ...all, credits: false });
  await database.transaction((em) => setNotifications(em, ada, all));
  await store(exhausted(teamId));
  await send();
  expect(await mails()).toHaveLength(2);
});

test('a link that opts out works only as it was signed, and after a rotation of the secret', () => {
  const optOutOfAda = { recipient: 'user:ada', category: 'credits' } as const;
  const token = createOptOutToken(tokenSecret, optOutOfAda);
  const newer = 'a-newer-token-secret-0123456789abcdef';
  expect(readOptOutToken([newer, tokenSecret], token)).toEqual(optOutOfAda);
  expect(readOptOutToken([newer], token)).toBeNull();
  expect(readOptOutToken([], token)).toBeNull();
  const [category, recipient, signature] = token.split('.');
  const bob = Buffer.from('user:bob').toString('base64url');
  for (const forged of [
    `payments.${recipient}.${signature}`,
    `${category}.${bob}.${signature}`,
    `${category}.${recipient}.`,
    `${token}.`,
    '',
  ])
    expect(readOptOutToken([tokenSecret], forged)).toBeNull();
});

test('someone who lost their role, or was erased, gets no e-mail about the team', async () => {
  const [ada, bob, eve] = [await newUser('ada'), await newUser('bob'), await newUser('eve')];
  const teamId = await newTeam({ [ada]: 'owner', [bob]: 'admin', [eve]: 'billing' });
  await store(exhausted(teamId));
  await database.pool.query(`update members set role = 'member' where team_id = $1 and user_id = $2`, [
    teamId,
    bob,
  ]);
  await database.pool.query('update users set email = null, name = null, erased_at = $2 where id = $1', [
    eve,
    start,
  ]);
  await send();
  expect(await recipients()).toEqual([`${ada}@example.com`]);
});

test('the e-mails of a team and of a recipient are limited in each 24 hours, and others are sent the next day', async () => {
  const [ada, bob] = [await newUser('ada'), await newUser('bob')];
  const [first, second] = [
    await newTeam({ [ada]: 'owner', [bob]: 'owner' }),
    await newTeam({ [ada]: 'owner' }),
  ];
  const few = { emailsPerTeamAndDay: 5, emailsPerRecipientAndDay: 4 };
  for (let n = 0; n < 3; n += 1) {
    await store(exhausted(first));
    await store(exhausted(second));
    await send({ limits: few });
    await advance(minute);
  }
  const countOf = async (id: string) => (await recipients()).filter((to) => to.startsWith(id)).length;
  expect([await countOf(ada), await countOf(bob)]).toEqual([4, 3]);
  for (let n = 0; n < 3; n += 1) await store(exhausted(first));
  await send({ limits: few });
  expect([await countOf(ada), await countOf(bob)]).toEqual([4, 3]);
  await advance(24 * hour);
  await store(exhausted(first));
  await send({ limits: few });
  expect([await countOf(ada), await countOf(bob)]).toEqual([5, 4]);
});

test('invitations from strangers do not use up the limit of a user’s e-mails about their own teams', async () => {
  const [ada, eve] = [await newUser('ada'), await newUser('eve')];
  const team = await newTeam({ [ada]: 'owner' });
  const few = { emailsPerTeamAndDay: 5, emailsPerRecipientAndDay: 2 };
  for (let n = 0; n < 3; n += 1) {
    const strange = await newTeam({ [eve]: 'owner' });
    const invitee = { email: `${ada}@example.com` };
    const actor = { kind: 'person', userId: eve } as const;
    await database.transaction((em) => invite(em, { teamId: strange, invitee, role: 'member', actor }));
    await send({ limits: few });
    await advance(minute);
  }
  await store(exhausted(team));
  await send({ limits: few });
  expect(await statuses()).toEqual(['sent', 'sent', 'skipped: limit of the recipient', 'sent']);
});

test('an e-mail that could not be sent for three days is skipped', async () => {
  const ada = await newUser('ada');
  await store(exhausted(await newTeam({ [ada]: 'owner' })));
  await advance(3 * 24 * hour + 1);
  expect(await send()).toEqual({ nextAt: null, failure: null });
  expect([await mails(), await statuses()]).toEqual([[], ['skipped: too old']]);
});

test('an invitation is sent to the invited address, does not reveal whether a user has it, and is not sent after it was revoked', async () => {
  const [ada, bob] = [await newUser('ada'), await newUser('bob')];
  const teamId = await newTeam({ [ada]: 'owner' });
  const actor = { kind: 'person', userId: ada } as const;
  const inviteTo = (invitee: { email: string } | { userId: string }) =>
    database.transaction((em) => invite(em, { teamId, invitee, role: 'member', actor }));
  await inviteTo({ email: 'New.Person@Example.com' });
  await inviteTo({ email: `${bob.toUpperCase()}@example.com` });
  await inviteTo({ userId: 'user_unknown' });
  const revoked = await inviteTo({ email: 'mistake@example.com' });
  await database.transaction((em) => revokeInvitation(em, { teamId, id: revoked.id, actor }));
  await send();
  expect(await recipients()).toEqual([`${bob}@example.com`, 'New.Person@example.com'].sort());
  const [one, other] = (await mails()).map(({ text }) => text.replace(/^Stop.*$/m, ''));
  expect(one).toBe(other);
  expect(one).toContain('You are invited to the team “Weavers” at Waveloom as member.');
  // The page at `/` shows the open invitations: test/browser.
  expect(one).toMatch(/^Open the invitation: https:\/\/billing\.example\.com\/$/m);

  const { rows } = await database.pool.query<{ recipient: string }>(
    `select recipient from emails where status = 'sent' and recipient not like 'user:%'`,
  );
  const recipient = rows[0]?.recipient ?? '';
  await database.transaction((em) => optOut(em, { recipient, category: 'invitations' }));
  await inviteTo({ email: 'new.person@example.com' });
  await send();
  expect(await recipients()).toHaveLength(2);
});

test('the workflow is signalled once for new e-mails, and again if they are overdue', async () => {
  const ada = await newUser('ada');
  await store(exhausted(await newTeam({ [ada]: 'owner' })));
  let signals = 0;
  const signal = async () => {
    signals += 1;
  };
  await expect(signalEmails(database, () => Promise.reject(new Error('down')))).rejects.toThrow('down');
  for (let n = 0; n < 2; n += 1) await signalEmails(database, signal);
  expect(signals).toBe(1);
  await signalOverdueEmailsAgain(database);
  await signalEmails(database, signal);
  expect(signals).toBe(1);
  await advance(6 * minute);
  await signalOverdueEmailsAgain(database);
  await signalEmails(database, signal);
  expect(signals).toBe(2);
});
