import { hash, randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import { readClock } from '../database/connection.ts';
import { type Scope, ServiceKey } from '../database/entities/service-key.ts';
import { recordAuditEvent } from '../database/record-audit-event.ts';
import { DomainError } from '../domain-error.ts';

/**
 * Creates a service key. The key is returned only here: only its SHA-256 is stored. Call it in a transaction.
 * @param actor  who creates it, as in audit records
 * @returns the row's id, and the key for `Authorization: Bearer`
 */
export async function issueServiceKey(
  em: EntityManager,
  { name, scopes, actor }: { name: string; scopes: Scope[]; actor: string },
): Promise<{ id: string; key: string }> {
  const id = uuidv7();
  const key = `wl_${randomBytes(32).toString('base64url')}`;
  await em.insert(ServiceKey, {
    id,
    name,
    hash: hashServiceKey(key),
    scopes,
    createdAt: await readClock(em),
  });
  await recordAuditEvent(em, {
    actor,
    action: 'service_key.created',
    subject: `service:${id}`,
    after: { name, scopes },
  });
  return { id, key };
}

/**
 * Revokes a key. A process that has just used it accepts it for at most two more seconds. Call it in a transaction.
 * @param actor  who revokes it, as in audit records
 * @throws DomainError `unknown_service_key`
 */
export async function revokeServiceKey(
  em: EntityManager,
  { id, actor }: { id: string; actor: string },
): Promise<void> {
  const revoked = await em.nativeUpdate(
    ServiceKey,
    { id, revokedAt: null },
    { revokedAt: await readClock(em) },
  );
  if (revoked === 0) {
    throw new DomainError('unknown_service_key', `There is no valid service key ${id}`, { id });
  }
  await recordAuditEvent(em, { actor, action: 'service_key.revoked', subject: `service:${id}` });
}

/** Every key, including revoked ones, oldest first. */
export async function listServiceKeys(em: EntityManager): Promise<ServiceKey[]> {
  return em.findAll(ServiceKey, { orderBy: { id: 'asc' } });
}

/** The key with this SHA-256, unless it was revoked. */
export async function findServiceKey(em: EntityManager, hash: Buffer): Promise<ServiceKey | null> {
  return em.findOne(ServiceKey, { hash, revokedAt: null });
}

/** A key is 32 random bytes, so a plain hash is enough. A slow hash would only slow down every request. */
export function hashServiceKey(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}
