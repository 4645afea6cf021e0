import { createServer, type Server, type ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { callPolar, createPolarClient } from '../../polar/client.ts';
import { listen } from '../setup/listen.ts';

/** The server's answers in order. The last one is repeated. */
let answers: ((response: ServerResponse) => void)[] = [];
let answered = 0;
/** The number of calls to Polar, counted at the caller, because a request that timed out may never arrive. */
let asked = 0;
/** Only the test of silence waits this long. Elsewhere a slow machine must not look like a silent Polar. */
let timeoutSeconds = 30;
let server: Server;
let url = '';

beforeAll(async () => {
  server = createServer((_request, response) => {
    const answer = answers[Math.min(answered, answers.length - 1)];
    answered += 1;
    answer?.(response);
  });
  url = await listen(server);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  answered = 0;
  asked = 0;
  timeoutSeconds = 30;
});

const json =
  (status: number, body: unknown, headers = {}) =>
  (response: ServerResponse) =>
    void response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify(body));
const page = (status: number) => (response: ServerResponse) =>
  void response.writeHead(status, { 'content-type': 'text/html' }).end('<html>no</html>');
const silence = () => {};
const cutOff = (response: ServerResponse) => void response.destroy();
const stopInBody = (response: ServerResponse) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
  response.write('{"id":');
};
const isSilent = (answer: unknown) => answer === silence || answer === stopInBody;
const cutInBody = (response: ServerResponse) => {
  stopInBody(response);
  setTimeout(() => response.destroy(), 20);
};

function readOrder() {
  const polar = createPolarClient({ accessToken: 'secret-token', server: url, timeoutSeconds });
  return callPolar('read', () => {
    asked += 1;
    return polar.orders.get('o1');
  });
}
function changeSubscription(happened?: () => Promise<undefined>) {
  const polar = createPolarClient({ accessToken: 'secret-token', server: url, timeoutSeconds });
  return callPolar(
    'change',
    () => {
      asked += 1;
      return polar.subscriptions.update('s1', { cancel_at_period_end: true });
    },
    happened,
  );
}

test.each([
  ['a server error', json(500, {})],
  ['a page of a proxy', page(404)],
  ['an answer that is no JSON', page(200)],
  ['silence', silence],
  ['a connection that is cut', cutOff],
  ['a pause within the body', stopInBody],
  ['a cut within the body', cutInBody],
  ['a rate limit', json(429, {}, { 'retry-after': '0' })],
  ['a rate limit without a time', json(429, {})],
  ['a rate limit until a date', json(429, {}, { 'retry-after': 'Fri, 31 Jul 2026 10:00:00 GMT' })],
])('%s is "unavailable", after three tries of a read', async (_what, answer) => {
  answers = [answer];
  if (isSilent(answer)) timeoutSeconds = 0.15;
  await expect(readOrder()).rejects.toMatchObject({
    code: 'polar_unavailable',
    retriable: true,
    details: { retryAfterSeconds: expect.any(Number) },
  });
  expect(asked).toBe(3);
});

test('a read that fails once is tried again', async () => {
  answers = [cutOff, json(200, { id: 'o1' })];
  await expect(readOrder()).resolves.toMatchObject({ id: 'o1' });
});

test('a rate limit that is too long to wait for is returned at once', async () => {
  answers = [json(429, {}, { 'retry-after': '60' })];
  await expect(readOrder()).rejects.toMatchObject({ details: { retryAfterSeconds: 60 } });
  expect(asked).toBe(1);
});

test('a change is not sent again after an unknown outcome', async () => {
  for (const answer of [json(500, {}), silence, cutInBody]) {
    asked = 0;
    answers = [answer];
    timeoutSeconds = isSilent(answer) ? 0.15 : 30;
    await expect(changeSubscription(async () => undefined)).rejects.toMatchObject({
      code: 'polar_unavailable',
    });
    expect(asked).toBe(1);
  }
});

test('if the answer to a change is lost, the change is looked up at Polar', async () => {
  answers = [cutOff];
  const polar = createPolarClient({ accessToken: 'secret-token', server: url });
  const change = async () => (await polar.subscriptions.update('s1', { cancel_at_period_end: true })).id;
  await expect(callPolar('change', change, async () => 's1 as found')).resolves.toBe('s1 as found');
});

test('a change that a rate limit refused is sent again', async () => {
  answers = [json(429, {}, { 'retry-after': '0' }), json(200, { id: 's1' })];
  await expect(changeSubscription()).resolves.toMatchObject({ id: 's1' });
  expect(asked).toBe(2);
});

test.each([
  [402, { error: 'PaymentFailed', detail: 'The card was declined.' }, 'payment_failed'],
  [403, { error: 'AlreadyCanceledSubscription', detail: '' }, 'subscription_ended'],
  [403, { error: 'InactiveSubscription', detail: '' }, 'subscription_inactive'],
  [404, { error: 'ResourceNotFound', detail: 'Not found' }, 'polar_not_found'],
  [409, { error: 'SubscriptionLocked', detail: '' }, 'subscription_locked'],
  [409, { error: 'SubscriptionNotScheduledToCancel', detail: '' }, 'polar_conflict'],
  [401, { error: 'invalid_token', error_description: '' }, 'polar_refused'],
  [418, 'a teapot', 'polar_refused'],
  [422, { detail: [{ loc: ['body', 'product_id'], msg: 'Unknown', type: 'x' }] }, 'polar_refused'],
])('%i %p becomes %s, and is not retried', async (given, body, code) => {
  answers = [json(given, body)];
  await expect(changeSubscription()).rejects.toMatchObject({ code });
  expect(asked).toBe(1);
});

test('an error names the wrong field, and contains no secret', async () => {
  answers = [json(422, { detail: [{ loc: ['body', 'email'], msg: 'Taken', input: 'eve@example.com' }] })];
  const error = await changeSubscription().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    details: { fields: ['body.email'] },
    message: expect.stringContaining('Taken'),
  });
  expect(JSON.stringify([error, String(error)])).not.toMatch(/eve@example|secret-token/);
});

test('our own bug is not called a failure of Polar', async () => {
  await expect(callPolar('read', async () => JSON.stringify(1n))).rejects.toBeInstanceOf(TypeError);
});
