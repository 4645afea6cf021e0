import { timingSafeEqual } from 'node:crypto';
import { createRemoteJWKSet, errors, type JWTVerifyOptions, jwtVerify } from 'jose';
import { z } from 'zod';
import type { Database } from '../database/connection.ts';
import { type Scope, scopes } from '../database/entities/service-key.ts';
import { DomainError } from '../domain-error.ts';
import type { Environment } from '../environment.ts';
import { environmentKeyId, nameActor } from '../teams/actor.ts';
import { hashServiceKey, useServiceKey } from '../teams/service-keys.ts';
import { findSession, hashSession } from '../teams/sessions.ts';
import { userIdSchema } from './shapes.ts';

/** The caller of a request. */
export type Caller = { kind: 'service'; keyId: string; scopes: readonly Scope[] } | Person;

/** A user, known by a JWT or a session until `validUntil`, in wall time. */
export interface Person {
  kind: 'person';
  userId: string;
  validUntil: Date;
}

/**
 * Finds the caller of a request by its `Authorization` header, and only without one by `session`, the secret of the
 * session's cookie. Throws DomainError `unauthenticated`; for a token or session, with `reason`. Without
 * `lookUpNewKeys` (default: true) a service key or session that was never valid here is refused without a query.
 */
export type Authenticate = (
  authorization: string | undefined,
  options?: { lookUpNewKeys?: boolean; session?: string | undefined },
) => Promise<Caller>;

/** How long a service key or session is cached as valid, in milliseconds. */
const keyCacheMs = 2_000;
const keyCacheSize = 1_000;

/** Tokens are checked against wall time, not against the clock of credits. */
export function createAuthenticate({
  database,
  auth,
  serviceApiKey,
}: {
  database: Database;
  auth: Environment['auth'];
  serviceApiKey: string | undefined;
}): Authenticate {
  const keys = database.lane('authentication');
  const verifyJwt = createVerifyJwt(auth);
  const firstKey = serviceApiKey === undefined ? undefined : hashServiceKey(serviceApiKey);
  const known = new Map<string, { caller: Caller; until: number }>();

  /** A caller who was found within the last seconds, else the one that `find` finds. Refused: `refusal`. */
  async function cached(
    cacheKey: string,
    lookUp: boolean,
    find: () => Promise<Caller | null>,
    refusal: () => DomainError,
  ): Promise<Caller> {
    const entry = known.get(cacheKey);
    if (entry && performance.now() < entry.until) return entry.caller;
    if (!entry && !lookUp) throw refusal();
    const caller = await find();
    if (!caller) {
      // Not before: until then the caller still counts as known for other requests, and if Postgres is down.
      known.delete(cacheKey);
      throw refusal();
    }
    if (known.size >= keyCacheSize) known.clear();
    known.set(cacheKey, { caller, until: performance.now() + keyCacheMs });
    return caller;
  }

  async function findKey(hash: Buffer): Promise<Caller | null> {
    const found = await useServiceKey(keys.fork(), hash);
    return found && { kind: 'service', keyId: found.id, scopes: found.scopes };
  }

  async function findPerson(hash: Buffer): Promise<Caller | null> {
    const found = await findSession(keys.fork(), hash);
    return found && { kind: 'person', userId: found.userId, validUntil: found.expiresAt };
  }

  return async (authorization, { lookUpNewKeys = true, session } = {}) => {
    if (authorization === undefined && session !== undefined) {
      const hash = hashSession(session);
      const cacheKey = `session ${hash.toString('base64')}`;
      return cached(cacheKey, lookUpNewKeys, () => findPerson(hash), sessionEnded);
    }
    const token = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) {
      throw unauthenticated('Send Authorization: Bearer with a service key or a person’s JWT, or sign in');
    }
    const hash = hashServiceKey(token);
    if (firstKey && timingSafeEqual(hash, firstKey))
      return { kind: 'service', keyId: environmentKeyId, scopes };
    if (looksLikeJwt(token)) return verifyJwt(token);
    return cached(hash.toString('base64'), lookUpNewKeys, () => findKey(hash), unknownKey);
  };
}

/** The caller's name in keys, records and logs. */
export function nameCaller(caller: Caller): string {
  return nameActor(caller);
}

function sessionEnded(): DomainError {
  return unauthenticated('The session has ended: sign in again', { reason: 'session_ended' });
}

function unknownKey(): DomainError {
  return unauthenticated('The service key is unknown, was revoked or has expired');
}

export function unauthenticated(message: string, details: { reason?: string } = {}): DomainError {
  return new DomainError('unauthenticated', message, details);
}

function looksLikeJwt(token: string): boolean {
  return /^[\w-]+\.[\w-]*\.[\w-]*$/.test(token);
}

const claims = z.object({ sub: userIdSchema, exp: z.number(), iat: z.number().optional() });

/** The maximum lifetime of a token, from its issue or from now, so that a lost token is useless after that. */
const longestLifeSeconds = 86_400;
/** How far the identity provider's clock may be ahead of ours. */
const clockLeewaySeconds = 60;

/** We fix the algorithms, not the token: `none` and a public key used as an HMAC secret are refused. */
function createVerifyJwt(auth: Environment['auth']): (token: string) => Promise<Person> {
  const { audience, issuer } = auth;
  const rules: JWTVerifyOptions = {
    requiredClaims: ['exp', 'sub'],
    ...(audience === undefined ? {} : { audience }),
    ...(issuer === undefined ? {} : { issuer }),
  };
  const verify =
    'jwtSecret' in auth
      ? verifyWith(new TextEncoder().encode(auth.jwtSecret), { ...rules, algorithms: ['HS256'] })
      : verifyWith(createRemoteJWKSet(new URL(auth.jwksUrl)), {
          ...rules,
          algorithms: [
            'RS256',
            'RS384',
            'RS512',
            'PS256',
            'PS384',
            'PS512',
            'ES256',
            'ES384',
            'EdDSA',
            'Ed25519',
          ],
        });
  return async (token) => {
    try {
      const { sub, exp, iat } = claims.parse(await verify(token));
      refuseOddTimes(exp, iat, Date.now() / 1_000);
      return { kind: 'person', userId: sub, validUntil: new Date(exp * 1_000) };
    } catch (error) {
      throw error instanceof DomainError ? error : refusedToken(error);
    }
  };
}

/** All in seconds since 1970. */
function refuseOddTimes(exp: number, iat: number | undefined, now: number): void {
  if (iat !== undefined && iat > now + clockLeewaySeconds) {
    throw unauthenticated('The token’s iat lies in the future: check the clock of its issuer', {
      reason: 'issued_in_the_future',
    });
  }
  if (exp > (iat ?? now) + longestLifeSeconds) {
    throw unauthenticated(
      'The token’s exp must lie within 24 hours of its issue: get one with a shorter lifetime',
      {
        reason: 'expires_too_late',
      },
    );
  }
}

function verifyWith(key: Uint8Array | ReturnType<typeof createRemoteJWKSet>, options: JWTVerifyOptions) {
  return async (token: string) =>
    (await (typeof key === 'function' ? jwtVerify(token, key, options) : jwtVerify(token, key, options)))
      .payload;
}

/** The identity provider's keys could not be fetched (timeout, another status than 200, no JSON) or are not keys. */
function isOfTheKeys(error: errors.JOSEError): boolean {
  const { JWKSTimeout, JWKSInvalid, JOSEError } = errors;
  return [JWKSTimeout.code, JWKSInvalid.code, JOSEError.code].includes(error.code);
}

function refusedToken(error: unknown): DomainError {
  if (error instanceof errors.JWTExpired)
    return unauthenticated('The token has expired', { reason: 'expired' });
  if (error instanceof z.ZodError) {
    const claim = String(error.issues[0]?.path[0]);
    const message =
      claim === 'sub' ? 'The token’s sub must be a user id' : `The token’s ${claim} must be a time`;
    return unauthenticated(message, { reason: `wrong_${claim}` });
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return unauthenticated(`The token’s claim ${error.claim} is missing or wrong`, {
      reason: `wrong_${error.claim}`,
    });
  }
  if (error instanceof errors.JOSEError && !isOfTheKeys(error)) {
    return unauthenticated('The token must be a JWT that we can verify');
  }
  return new DomainError('identity_provider_unavailable', 'The keys that sign tokens cannot be fetched now', {
    retryAfterSeconds: 1,
  });
}
