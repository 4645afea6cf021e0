import { webhooks } from '@polar-sh/sdk/2026-10';
import { z } from 'zod';
import { DomainError } from '../domain-error.ts';
import { polarTime } from './events.ts';

/** A verified message from Polar. Its content is not checked yet (see `events.ts`). */
export interface VerifiedWebhook {
  /** Stable over retries and redelivery; at most 255 characters. */
  webhookId: string;
  /** Polar's event type, which we may not know. */
  type: string;
  /** When it happened, by Polar's clock. */
  occurredAt: Date;
  /** The whole envelope. The object of the event is in `data`. */
  payload: PolarEnvelope;
}

export type PolarEnvelope = z.output<typeof envelope>;

/**
 * Checks the signature of a webhook by Standard Webhooks: HMAC-SHA256 over id, timestamp and the raw bytes, with a
 * timestamp within five minutes of wall time. Every secret is tried, because one may be in rotation.
 *
 * @param rawBody  the bytes as received; a body that was parsed and serialised again has another signature
 * @throws DomainError `bad_signature` with `mismatch`, the reason; `unreadable_event` if a signed body is not
 *   an event
 */
export async function verifyWebhook(
  rawBody: Buffer,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  secrets: readonly string[],
): Promise<VerifiedWebhook> {
  const given = readSignedHeaders(headers);
  for (const secret of secrets) {
    if (!(await isSigned(rawBody, given, secret))) continue;
    const payload = readEnvelope(rawBody);
    const sentAt = new Date(Number(given['webhook-timestamp']) * 1_000);
    const { timestamp = sentAt } = payload;
    return { webhookId: given['webhook-id'], type: payload.type, occurredAt: timestamp, payload };
  }
  throw badSignature('no_secret_matches');
}

/**
 * Checks the three signature headers of a webhook, before its body is read.
 * @throws DomainError `bad_signature`: `header_missing`, `header_malformed` or `stale_timestamp`
 */
export function readSignedHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): z.output<typeof signedHeaders> {
  const signed = signedHeaders.safeParse(headers);
  if (!signed.success) {
    const isMissing = Object.keys(signedHeaders.shape).some((name) => headers[name] === undefined);
    throw badSignature(isMissing ? 'header_missing' : 'header_malformed');
  }
  const ageSeconds = Math.abs(Date.now() / 1_000 - Number(signed.data['webhook-timestamp']));
  if (ageSeconds > toleranceSeconds) throw badSignature('stale_timestamp');
  return signed.data;
}

/** In Standard Webhooks, for both past and future. */
const toleranceSeconds = 300;

// Exactly one of each: Node joins or lists repeated headers, and a list makes the SDK throw a TypeError.
const signedHeaders = z.object({
  'webhook-id': z.string().regex(/^[\x21-\x7e]{1,255}$/),
  'webhook-timestamp': z.string().regex(/^\d{1,12}$/),
  'webhook-signature': z.string().min(1).max(2_000),
});

const envelope = z.looseObject({
  type: z.string().min(1).max(100),
  timestamp: polarTime.optional().catch(undefined),
  data: z.unknown().optional(),
});

async function isSigned(
  body: Buffer,
  headers: z.output<typeof signedHeaders>,
  secret: string,
): Promise<boolean> {
  try {
    await webhooks.validateEvent(body, headers, secret);
    return true;
  } catch (error) {
    if (error instanceof webhooks.PolarWebhookVerificationError) return false;
    // The SDK throws this only after a valid signature: an unknown type, or a body that is not JSON.
    if (error instanceof webhooks.PolarWebhookError) return true;
    throw error;
  }
}

function readEnvelope(body: Buffer): PolarEnvelope {
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'), storable);
  } catch {
    throw new DomainError('unreadable_event', 'The signed body is not JSON');
  }
  const read = envelope.safeParse(json);
  if (read.success) return read.data;
  throw new DomainError('unreadable_event', 'The signed body must have the form {type, timestamp, data}');
}

/**
 * Postgres' jsonb and text cannot store NUL or half a surrogate pair. Such a character in a name must not make an
 * event fail.
 */
export function storable(_key: string, value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [storableText(key), inner]));
}

function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}

const mismatches = {
  header_missing: 'webhook-id, webhook-timestamp or webhook-signature is missing',
  header_malformed: 'webhook-id, webhook-timestamp or webhook-signature is malformed',
  stale_timestamp: 'webhook-timestamp lies more than 5 minutes from our clock',
  no_secret_matches: 'no secret of POLAR_WEBHOOK_SECRET signs this body',
};

function badSignature(mismatch: keyof typeof mismatches): DomainError {
  return new DomainError('bad_signature', `The webhook is refused: ${mismatches[mismatch]}`, {
    mismatch,
  });
}
