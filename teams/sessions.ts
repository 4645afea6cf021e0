import { hash, randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { DomainError } from '../domain-error.ts';
import { findUser } from './find-user.ts';

/** The longest life of a session, in seconds. */
export const longestSessionSeconds = 3_600;
/** Maximum number of live sessions of one user. A further sign-in ends the oldest. */
const mostSessions = 20;
/** Maximum number of expired sessions that one sign-in deletes, so that no sign-in takes long. */
const mostPruned = 100;

/** A new session. The secret is returned only once: only its SHA-256 is stored. */
export interface IssuedSession {
  /** The value of the cookie: 43 characters of base64url. */
  secret: string;
  expiresAt: Date;
}

/**
 * Creates a session of a user, and deletes expired ones. Call it in a transaction.
 * @param until  the end of the token that proves who the user is, in wall time: the session never lasts longer
 * @throws DomainError `unknown_user`, also for one who was erased; `unauthenticated` if `until` has passed, by Postgres' clock
 */
export async function createSession(
  em: EntityManager,
  { userId, until }: { userId: string; until: Date },
): Promise<IssuedSession> {
  await findUser(em, userId);
  await em.execute(
    `delete from sessions
      where hash = any (array(select hash from sessions where expires_at <= now() limit ? for update skip locked))`,
    [mostPruned],
  );
  await em.execute(
    `delete from sessions
      where user_id = ?
        and hash not in (select hash from sessions where user_id = ? order by created_at desc, hash limit ?)`,
    [userId, userId, mostSessions - 1],
  );
  const secret = randomBytes(32).toString('base64url');
  const [created] = await em.execute<{ expiresAt: Date | string }[]>(
    `insert into sessions (hash, user_id, expires_at)
     select ?, ?, ends from (values (least(?::timestamptz(3), now() + make_interval(secs => ?))::timestamptz(3))) one (ends)
      where ends > now()::timestamptz(3)
     returning expires_at as "expiresAt"`,
    [hashSession(secret), userId, until, longestSessionSeconds],
  );
  if (!created) throw new DomainError('unauthenticated', 'The token has expired', { reason: 'expired' });
  return { secret, expiresAt: new Date(created.expiresAt) };
}

/** The user of a session that has not ended; null: there is none. */
export async function findSession(
  em: EntityManager,
  hash: Buffer,
): Promise<{ userId: string; expiresAt: Date } | null> {
  const [found] = await em.execute<{ userId: string; expiresAt: Date | string }[]>(
    `select user_id as "userId", expires_at as "expiresAt" from sessions where hash = ? and expires_at > now()`,
    [hash],
  );
  return found ? { userId: found.userId, expiresAt: new Date(found.expiresAt) } : null;
}

/** Ends one session. A process that has just used it accepts it for at most two more seconds. */
export async function endSession(em: EntityManager, hash: Buffer): Promise<void> {
  await em.execute('delete from sessions where hash = ?', [hash]);
}

/** Ends every session of a user. */
export async function endSessionsOf(em: EntityManager, userId: string): Promise<void> {
  await em.execute('delete from sessions where user_id = ?', [userId]);
}

/** A secret is 32 random bytes, so a plain hash is enough. */
export function hashSession(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}
