import type { EntityManager } from '@mikro-orm/postgresql';
import { type Database, readClock } from '../database/connection.ts';
import { IdempotencyKey } from '../database/entities/idempotency-key.ts';
import { DomainError } from '../domain-error.ts';

/** One request under a caller's key. */
export interface KeyedRequest {
  /** `{caller} {method} {route}`: whose key it is, and for what. */
  scope: string;
  key: string;
  /** SHA-256 of the parsed body. */
  bodyHash: Buffer;
}

/** A success as it is told, and told again: status and JSON value. */
export interface Recorded {
  status: number;
  body: unknown;
}

/**
 * Does `work` once per key: its effect and its answer commit together, and the same request again gets the same
 * answer. A refusal is not recorded. `work` may make no network call.
 * @throws DomainError 409 `idempotency_conflict` where the key was used with another body
 */
export async function idempotent(
  database: Database,
  request: KeyedRequest,
  work: (em: EntityManager) => Promise<Recorded>,
): Promise<Recorded> {
  return database.transaction(async (em) => {
    // Of two at once, the second waits here and then finds what the first recorded.
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
 * As {@link idempotent} for an effect that is made elsewhere (at Polar): call, then record. Two requests at once
 * may both call, and both get the answer that was recorded first.
 * @throws DomainError 409 `idempotency_conflict` where the key was used with another body
 */
export async function idempotentElsewhere(
  database: Database,
  request: KeyedRequest,
  call: () => Promise<Recorded>,
): Promise<Recorded> {
  const known = await findRecorded(database.fork(), request);
  if (known) return known;
  const answer = await call();
  const em = database.fork();
  await record(em, request, answer);
  return (await findRecorded(em, request)) ?? answer;
}

async function findRecorded(em: EntityManager, request: KeyedRequest): Promise<Recorded | undefined> {
  const { scope, key, bodyHash } = request;
  const known = await em.findOne(IdempotencyKey, { scope, key });
  if (!known) return undefined;
  if (!bodyHash.equals(known.bodyHash)) {
    throw new DomainError(
      409,
      'idempotency_conflict',
      'This Idempotency-Key was used with another body; a new request needs a new key',
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
