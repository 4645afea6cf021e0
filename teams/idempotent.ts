import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { type Database, readClock } from '../database/connection.ts';
import { IdempotencyKey } from '../database/entities/idempotency-key.ts';
import { DomainError, isRefusal } from '../domain-error.ts';

/** One request under a caller's key. */
export interface KeyedRequest {
  /** `{caller} {method} {route}`: the scope of the key. */
  scope: string;
  key: string;
  /** SHA-256 of the parsed body. */
  bodyHash: Buffer;
}

/** A success, replayed for the same key: status and JSON value. */
export interface Recorded {
  status: number;
  body: unknown;
}

/**
 * Does `work` once per key: its effect and its answer commit together, and the same request gets the same answer
 * again. An error is not recorded. `work` must make no network call.
 * @throws DomainError `idempotency_conflict` if the key was used with another body
 */
export async function idempotent(
  database: Database,
  request: KeyedRequest,
  work: (em: EntityManager) => Promise<Recorded>,
): Promise<Recorded> {
  return database.transaction(async (em) => {
    // Of two concurrent requests, the second waits here and then finds the answer of the first.
    await em.execute('select pg_advisory_xact_lock(hashtextextended(?, 0))', [
      `${request.scope} ${request.key}`,
    ]);
    const known = await findRecorded(em, request);
    if (known) return known;
    const answer = await work(em);
    await record(em, request, answer);
    return answer;
  });
}

/**
 * As {@link idempotent} for an effect outside Postgres (at Polar): reserves the key for this body, makes the call,
 * then records its answer. Two concurrent requests with one body may both call, and both return the answer that was
 * recorded first. A request with another body never calls. An answer with an expiry (a link) is replayed until then,
 * and afterwards created again. After an error without an effect the key is free again.
 * @throws DomainError `idempotency_conflict` if the key was used with another body
 */
export async function idempotentElsewhere(
  database: Database,
  request: KeyedRequest,
  call: () => Promise<Recorded>,
): Promise<Recorded> {
  const em = database.fork();
  await record(em, request, underWay);
  const known = await findRecorded(em, request);
  if (known && !isUnderWay(known) && !hasExpired(known, await readClock(em))) return known;
  try {
    const answer = await call();
    await replace(em, request, answer);
    await record(em, request, answer); // if a concurrent error of the same request has freed the key
  } catch (error) {
    // If a call failed ambiguously, it may have had an effect, so its key stays bound to its body.
    if (isRefusal(error)) await free(em, request);
    throw error;
  }
  const answer = await findRecorded(database.fork(), request);
  if (!answer) throw new Error(`the answer under a key of ${request.scope} was not recorded`);
  return answer;
}

/** Marks an answer that is still to come; 102 is HTTP's Processing. */
const underWay: Recorded = { status: 102, body: null };

function isUnderWay({ status }: Recorded): boolean {
  return status === underWay.status;
}

function hasExpired({ body }: Recorded, now: Date): boolean {
  const { success, data } = z.object({ expiresAt: z.iso.datetime() }).safeParse(body);
  return success && new Date(data.expiresAt) <= now;
}

async function findRecorded(em: EntityManager, request: KeyedRequest): Promise<Recorded | undefined> {
  const { scope, key, bodyHash } = request;
  const known = await em.findOne(IdempotencyKey, { scope, key });
  if (!known) return undefined;
  if (!bodyHash.equals(known.bodyHash)) {
    throw new DomainError(
      'idempotency_conflict',
      'This Idempotency-Key was used with another body: send a new key with a new request',
    );
  }
  if (known.status === null) throw new Error(`${scope} has a key without an answer`);
  return { status: known.status, body: known.response };
}

async function record(em: EntityManager, request: KeyedRequest, answer: Recorded): Promise<void> {
  await em.execute(
    `insert into idempotency_keys (scope, key, body_hash, status, response, created_at)
     values (?, ?, ?, ?, ?::jsonb, ?)
     on conflict (scope, key) do nothing`,
    [
      request.scope,
      request.key,
      request.bodyHash,
      answer.status,
      JSON.stringify(answer.body),
      await readClock(em),
    ],
  );
}

/** Of two concurrent answers the first one is kept. */
async function replace(em: EntityManager, { scope, key }: KeyedRequest, answer: Recorded): Promise<void> {
  await em.execute(
    `update idempotency_keys set status = ?, response = ?::jsonb, created_at = billing_now()
      where scope = ? and key = ?
        and (status = ? or (response->>'expiresAt')::timestamptz <= billing_now())`,
    [answer.status, JSON.stringify(answer.body), scope, key, underWay.status],
  );
}

async function free(em: EntityManager, { scope, key }: KeyedRequest): Promise<void> {
  await em.nativeDelete(IdempotencyKey, { scope, key, status: underWay.status });
}
