import { hash, randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import { readClock } from '../database/connection.ts';
import { type Scope, ServiceKey } from '../database/entities/service-key.ts';
import { type ListPage, type ListRange, pageOfRows, uuidCursor } from '../database/list-page.ts';
import { recordAuditEvent } from '../database/record-audit-event.ts';
import { DomainError } from '../domain-error.ts';

/** A key and its secret. The secret is returned only once: only its SHA-256 is stored. */
export interface IssuedServiceKey {
  id: string;
  /** For `Authorization: Bearer`. */
  key: string;
}

/** At most one write per key in this time. */
const usePrecision = '1 minute';

/**
 * Creates a service key. Call it in a transaction.
 * @param actor  who creates it, as in audit records
 * @param expiresAt  when it stops being valid, in wall time; null: never
 * @throws DomainError `expires_in_the_past`
 */
export async function issueServiceKey(
  em: EntityManager,
  {
    name,
    scopes,
    actor,
    expiresAt = null,
  }: { name: string; scopes: Scope[]; actor: string; expiresAt?: Date | null },
): Promise<IssuedServiceKey> {
  if (expiresAt !== null && expiresAt.getTime() <= Date.now())
    throw new DomainError('expires_in_the_past', 'expiresAt must be after now');
  const id = uuidv7();
  const key = newSecret();
  await em.insert(ServiceKey, {
    id,
    name,
    hash: hashServiceKey(key),
    scopes,
    createdAt: await readClock(em),
    expiresAt,
  });
  await recordAuditEvent(em, {
    actor,
    action: 'service_key.created',
    subject: `service:${id}`,
    after: { name, scopes, ...(expiresAt === null ? {} : { expiresAt }) },
  });
  return { id, key };
}

/**
 * Gives a key a new secret. The previous secret stays valid for some time, so that callers can change to the new one.
 * The one before that is no longer valid. Call it in a transaction.
 * @param actor  who rotates it, as in audit records
 * @throws DomainError `unknown_service_key`, also for one that was revoked or has expired
 */
export async function rotateServiceKey(
  em: EntityManager,
  { id, previousValidSeconds, actor }: { id: string; previousValidSeconds: number; actor: string },
): Promise<IssuedServiceKey & { previousValidUntil: Date }> {
  const key = newSecret();
  const [rotated] = await em.execute<{ until: Date | string }[]>(
    `update service_keys
        set previous_hash = hash, previous_valid_until = now() + make_interval(secs => ?),
            hash = ?, rotated_at = now()
      where id = ? and revoked_at is null and (expires_at is null or expires_at > now())
      returning previous_valid_until as until`,
    [previousValidSeconds, hashServiceKey(key), id],
  );
  if (!rotated) throw unknownServiceKey(id);
  const previousValidUntil = new Date(rotated.until);
  await recordAuditEvent(em, {
    actor,
    action: 'service_key.rotated',
    subject: `service:${id}`,
    after: { previousValidUntil },
  });
  return { id, key, previousValidUntil };
}

/**
 * Revokes a key, with all its secrets. A process that has just used it accepts it for at most two more seconds. Call it
 * in a transaction.
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
  if (revoked === 0) throw unknownServiceKey(id);
  await recordAuditEvent(em, { actor, action: 'service_key.revoked', subject: `service:${id}` });
}

/**
 * One key, whether it is valid or not.
 * @throws DomainError `unknown_service_key`
 */
export async function readServiceKey(em: EntityManager, id: string): Promise<ServiceKey> {
  const found = await em.findOne(ServiceKey, { id }, { disableIdentityMap: true });
  if (!found) throw unknownServiceKey(id);
  return found;
}

/**
 * Every key, including revoked and expired ones, oldest first.
 * @throws DomainError `invalid_cursor`
 */
export async function listServiceKeys(
  em: EntityManager,
  { limit, cursor }: ListRange,
): Promise<ListPage<ServiceKey>> {
  const rows = await em.find(
    ServiceKey,
    { id: { $gt: uuidCursor(cursor) } },
    { orderBy: { id: 'asc' }, limit: limit + 1, disableIdentityMap: true },
  );
  return pageOfRows(rows, limit);
}

/**
 * The valid key with this SHA-256 of its secret, or of its previous secret while that is valid. Records the use: at most
 * one write a minute and key, however many requests and processes use it.
 */
export async function useServiceKey(
  em: EntityManager,
  hash: Buffer,
): Promise<{ id: string; scopes: Scope[] } | null> {
  const [found] = await em.execute<{ id: string; scopes: Scope[]; recordUse: boolean }[]>(
    `select id, scopes, coalesce(last_used_at < now() - ?::interval, true) as "recordUse"
       from service_keys
      where (hash = ? or (previous_hash = ? and previous_valid_until > now()))
        and revoked_at is null and (expires_at is null or expires_at > now())`,
    [usePrecision, hash, hash],
  );
  if (!found) return null;
  const { id, scopes, recordUse } = found;
  if (recordUse) {
    // A change that the key makes locks its row. The use is then recorded a little later.
    await em.execute(
      `update service_keys set last_used_at = now()
        where id = (select id from service_keys
                     where id = ? and coalesce(last_used_at < now() - ?::interval, true)
                       for no key update skip locked)`,
      [id, usePrecision],
    );
  }
  return { id, scopes };
}

/** A secret is 32 random bytes, so a plain hash is enough. A slow hash would only slow down every request. */
export function hashServiceKey(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}

function newSecret(): string {
  return `wl_${randomBytes(32).toString('base64url')}`;
}

function unknownServiceKey(id: string): DomainError {
  return new DomainError('unknown_service_key', `There is no valid service key ${id}`, { id });
}
