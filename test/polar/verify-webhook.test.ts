import { createHmac } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { verifyWebhook } from '../../polar/verify-webhook.ts';

const key = Buffer.from('0123456789abcdef0123456789abcdef');
const secret = `whsec_${key.toString('base64')}`;
const olderSecret = 'polar_whs_0ld5ecretThatIsUsedAsUtf8Bytes';
const body = JSON.stringify({ type: 'order.paid', timestamp: '2026-01-31T10:00:00Z', data: { id: 'o1' } });
const now = () => Math.floor(Date.now() / 1_000);

function signed({ text = body, id = 'msg_1', at = now(), by = key as Buffer | string } = {}) {
  const signature = createHmac('sha256', by).update(`${id}.${at}.${text}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': `v1,${signature}` };
}

const verify = (headers: Record<string, string | string[] | undefined>, text = body, secrets = [secret]) =>
  verifyWebhook(Buffer.from(text), headers, secrets);

test('a signed event is returned with its id, type and time', async () => {
  expect(await verify(signed())).toMatchObject({
    webhookId: 'msg_1',
    type: 'order.paid',
    occurredAt: new Date('2026-01-31T10:00:00Z'),
    payload: { type: 'order.paid', data: { id: 'o1' } },
  });
});

test('a secret of either format signs, and any of several during a rotation', async () => {
  await expect(verify(signed({ by: olderSecret }), body, [olderSecret])).resolves.toBeDefined();
  await expect(verify(signed(), body, [olderSecret, secret])).resolves.toBeDefined();
  await expect(verify(signed({ by: olderSecret }), body, [secret, olderSecret])).resolves.toBeDefined();
});

test('an unknown event type is an event', async () => {
  const text = JSON.stringify({ type: 'moon.rose', timestamp: 'when it was dark' });
  const at = now();
  expect(await verify(signed({ text, at }), text)).toMatchObject({
    type: 'moon.rose',
    occurredAt: new Date(at * 1_000), // its own time cannot be read, so that of the signature counts
  });
});

test('a webhook that was sent nearly five minutes ago is accepted', async () => {
  await expect(verify(signed({ at: now() - 290 }))).resolves.toBeDefined();
});

const good = signed();
test.each<[string, Record<string, string | string[] | undefined>]>([
  ['forged', signed({ by: 'another key' })],
  ['signed over another body', signed({ text: `${body} ` })],
  ['signed for another id', { ...good, 'webhook-id': 'msg_2' }],
  ['6 minutes old', signed({ at: now() - 360 })],
  ['6 minutes in the future', signed({ at: now() + 360 })],
  ['unsigned', { ...good, 'webhook-signature': undefined }],
  ['without an id', { ...good, 'webhook-id': undefined }],
  ['without a time', { ...good, 'webhook-timestamp': undefined }],
  ['with a time that is no number', { ...good, 'webhook-timestamp': 'NaN' }],
  ['with an empty signature', { ...good, 'webhook-signature': '' }],
  [
    'with a signature of another version',
    { ...good, 'webhook-signature': good['webhook-signature'].replace('v1', 'v2') },
  ],
  ['with two ids', { ...good, 'webhook-id': ['msg_1', 'msg_1'] }],
  ['with two signatures in a list', { ...good, 'webhook-signature': [good['webhook-signature']] }],
  ['with an id that is too long', signed({ id: 'x'.repeat(256) })],
  ['with an id of odd characters', signed({ id: 'msg\u0000' })],
  ['without headers', {}],
])('a webhook %s is refused', async (_what, headers) => {
  await expect(verify(headers)).rejects.toMatchObject({ code: 'bad_signature' });
});

test.each([
  ['no_secret_matches', signed({ by: 'another key' })],
  ['stale_timestamp', signed({ at: now() - 360 })],
  ['stale_timestamp', signed({ at: now() + 360, by: 'another key' })],
  ['header_missing', { ...good, 'webhook-signature': undefined }],
  ['header_malformed', { ...good, 'webhook-timestamp': 'NaN' }],
])('the error contains the kind of mismatch: %s', async (mismatch, headers) => {
  await expect(verify(headers)).rejects.toMatchObject({ code: 'bad_signature', details: { mismatch } });
});

test('without a secret every webhook is refused', async () => {
  await expect(verify(signed(), body, [])).rejects.toMatchObject({ code: 'bad_signature' });
  await expect(verify(signed({ by: Buffer.alloc(0) }), body, [''])).rejects.toMatchObject({
    code: 'bad_signature',
  });
});

test.each(['not json', '[]', 'null', '{}', '{"type":7}', ''])(
  'a signed body %p is no event',
  async (text) => {
    await expect(verify(signed({ text }), text)).rejects.toMatchObject({
      code: 'unreadable_event',
    });
  },
);

test('bytes that are not text do not verify as other bytes', async () => {
  const bytes = Buffer.from([0xff, 0xfe, 0x7b]);
  const headers = signed({ text: bytes.toString('latin1') });
  await expect(verifyWebhook(bytes, headers, [secret])).rejects.toMatchObject({ code: 'bad_signature' });
});
