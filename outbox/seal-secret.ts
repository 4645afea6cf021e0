import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const ivBytes = 12;
const tagBytes = 16;

/**
 * Keys of 32 bytes: WEBHOOK_SIGNING_KEY, the newest first. The newest encrypts, and all decrypt, so that a key can be
 * replaced.
 */
export type SigningKeys = readonly Buffer[];

/**
 * Encrypts an endpoint's secret with AES-256-GCM and the newest key. The result is bound to the endpoint: it cannot be
 * opened for another.
 */
export function sealSecret([newest]: SigningKeys, endpointId: string, secret: string): Buffer {
  if (!newest) throw new Error('WEBHOOK_SIGNING_KEY is not set');
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv('aes-256-gcm', newest, iv).setAAD(Buffer.from(endpointId));
  const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]);
}

/**
 * @returns the secret, and whether the newest key has encrypted it
 * @throws Error if no key has, or if the bytes were changed or belong to another endpoint
 */
export function openSecret(
  keys: SigningKeys,
  endpointId: string,
  bytes: Buffer,
): { secret: string; isNewest: boolean } {
  for (const [index, key] of keys.entries()) {
    const secret = tryKey(key, endpointId, bytes);
    if (secret !== null) return { secret, isNewest: index === 0 };
  }
  throw new Error(`No key of WEBHOOK_SIGNING_KEY opens the secret of the webhook endpoint ${endpointId}`);
}

function tryKey(key: Buffer, endpointId: string, bytes: Buffer): string | null {
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, ivBytes), {
    authTagLength: tagBytes,
  })
    .setAAD(Buffer.from(endpointId))
    .setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
  const opened = decipher.update(bytes.subarray(ivBytes + tagBytes));
  try {
    return Buffer.concat([opened, decipher.final()]).toString('utf8');
  } catch {
    return null; // the key is another one, or the bytes were changed
  }
}
