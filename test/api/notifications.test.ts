import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startMailServer } from '../../dev/mail-server.ts';
import { createMailer } from '../../outbox/email/mailer.ts';
import { createOptOutToken } from '../../outbox/email/recipients.ts';
import { emailTokenSecret, type RunningApi, startApi } from './running-api.ts';
import { refusal } from './send.ts';
import { statusAt } from './status-at.ts';

let api: RunningApi;
let mailFolder: string;
beforeAll(async () => {
  mailFolder = await mkdtemp(join(tmpdir(), 'waveloom-mail-'));
  api = await startApi({ mailFolder });
});
afterAll(async () => {
  await api.stop();
  await rm(mailFolder, { recursive: true, force: true });
});

const all = { credits: true, payments: true, invitations: true };
const linkOf = (userId: string) =>
  `/v1/email-opt-outs/${createOptOutToken(emailTokenSecret, { recipient: `user:${userId}`, category: 'credits' })}`;
const open = (path: string, init: RequestInit = {}) => fetch(api.url + path, init);

test('users read and set their own e-mails, and nobody else’s', async () => {
  const [ada, bob] = [await api.person(), await api.person()];
  const path = `/v1/users/${ada.id}/notifications`;
  expect(await api.send('GET', path, { as: ada.token })).toMatchObject({ status: 200, json: { email: all } });
  const email = { ...all, payments: false };
  for (let n = 0; n < 2; n += 1)
    expect((await api.send('PUT', path, { as: ada.token, body: { email } })).json).toEqual({ email });
  expect((await api.send('GET', path, { as: ada.token })).json).toEqual({ email });
  for (const as of [bob.token, undefined]) {
    const caller = as === undefined ? {} : { as };
    expect(await api.send('GET', path, caller)).toMatchObject({ status: 403 });
    expect(await api.send('PUT', path, { ...caller, body: { email: all } })).toMatchObject({ status: 403 });
  }
  expect((await api.send('GET', path, { as: ada.token })).json).toEqual({ email });
});

test('the link in an e-mail shows a page that changes nothing, and its button stops the e-mails', async () => {
  const ada = await api.person();
  const settings = async () =>
    (await api.send('GET', `/v1/users/${ada.id}/notifications`, { as: ada.token })).json;
  const shown = await open(linkOf(ada.id));
  expect([shown.status, shown.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  expect(shown.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(await shown.text()).toContain('<form method="post"><button>Stop these e-mails</button></form>');
  expect(await settings()).toEqual({ email: all });
  expect((await open(linkOf(ada.id), { method: 'POST' })).status).toBe(200);
  expect(await settings()).toEqual({ email: { ...all, credits: false } });
});

test('a mail program stops the e-mails with one click', async () => {
  const ada = await api.person();
  const body = new URLSearchParams({ 'List-Unsubscribe': 'One-Click' });
  for (let n = 0; n < 2; n += 1)
    expect((await open(linkOf(ada.id), { method: 'POST', body })).status).toBe(200);
  const reply = await api.send('GET', `/v1/users/${ada.id}/notifications`, { as: ada.token });
  expect(reply.json).toEqual({ email: { ...all, credits: false } });
});

test.each(['GET', 'POST'] as const)('%s with a forged link is refused', async (method) => {
  const forged = createOptOutToken('another-secret-0123456789abcdefghij', {
    recipient: 'user:ada',
    category: 'credits',
  });
  for (const token of [forged, 'x', 'a.b.c'])
    expect(await api.send(method, `/v1/email-opt-outs/${token}`, { as: null })).toMatchObject(
      refusal(404, 'unknown_email_link'),
    );
});

test('in development /dev/mail shows each mail, with its HTML in a sandbox, and nothing outside its folder', async () => {
  const server = await startMailServer({ port: 0, folder: mailFolder });
  const { port, hostname } = new URL(server.url);
  const mailer = createMailer({
    host: hostname,
    port: Number(port),
    tls: false,
    requireTls: false,
    user: undefined,
    password: undefined,
    from: { name: 'Waveloom', address: 'billing@localhost' },
  });
  const hostile = '<script>alert(1)</script>';
  await mailer.send({
    id: '1',
    to: 'ada@example.com',
    subject: hostile,
    text: hostile,
    html: hostile,
    optOutUrl: null,
  });
  const list = await (await open('/dev/mail')).text();
  expect(list).toContain('ada@example.com');
  const [, path = ''] = /href="(\/dev\/mail\/[^"]+)"/.exec(list) ?? [];
  const mail = await open(path);
  const page = await mail.text();
  expect([list, page].join()).not.toContain('<script>');
  expect(page).toContain(`src="${path}/html" sandbox=`);
  const html = await open(`${path}/html`);
  expect(html.headers.get('content-security-policy')).toMatch(/default-src 'none'.*; sandbox/);
  for (const other of ['/dev/mail/nothing', '/dev/mail/..%2F..%2Fetc%2Fpasswd'])
    expect((await open(other)).status).toBe(404);
  expect(await statusAt(api.url, '/dev/mail', 'evil.example.com')).toBe(404);
  mailer.close();
  await server.stop();
});

test('without the folder of the development stack there is no /dev/mail', async () => {
  const plain = await startApi();
  expect((await fetch(`${plain.url}/dev/mail`)).status).toBe(404);
  await plain.stop();
});

test('readiness says whether e-mails are sent', async () => {
  const answer = await fetch(`${api.operationsUrl}/readyz`);
  expect(await answer.json()).toMatchObject({ email: 'on' });
});
