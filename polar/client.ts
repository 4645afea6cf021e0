import { setTimeout as pause } from 'node:timers/promises';
import { PolarClientError, PolarNetworkError, PolarRateLimitError, PolarServerError } from '@polar-sh/sdk';
import { createPolar, type Polar } from '@polar-sh/sdk/2026-10';
import { z } from 'zod';
import { DomainError } from '../domain-error.ts';
import type { ErrorCode } from '../errors.ts';
import { polarCallSeconds } from '../metrics.ts';

export interface PolarSettings {
  accessToken: string;
  /** `production`, `sandbox`, or a base URL without a trailing slash. */
  server: string;
  /** The maximum time for one answer. */
  timeoutSeconds?: number;
}

/** Polar's rate limit. @see https://polar.sh/docs/api-reference/rate-limits */
export function requestsPerMinute({ server }: Pick<PolarSettings, 'server'>): number {
  return server === 'sandbox' ? 100 : 500;
}

/** The official SDK, connected to the given server. Every call on it must go through {@link callPolar}. */
export function createPolarClient({ accessToken, server, timeoutSeconds = 10 }: PolarSettings): Polar {
  const options = { accessToken, timeout: timeoutSeconds };
  return server === 'production' || server === 'sandbox'
    ? createPolar({ ...options, environment: server })
    : createPolar({ ...options, baseUrl: server });
}

/**
 * All calls to Polar go through this function. It runs a call of the SDK, which does not retry, and turns each failure
 * into a DomainError. A 429 says when to retry (https://polar.sh/docs/api-reference/rate-limits).
 *
 * - `read`: up to three attempts within five seconds, with growing pauses and Polar's retry-after.
 * - `change`: Polar has no idempotency keys (its OpenAPI document names none), so a change is sent again only if Polar
 *   said that it did nothing (429). After an ambiguous failure (timeout, cut connection, 5xx) `happened` reads whether
 *   the change was made. Its answer is then the result. If it is undefined, the failure is thrown.
 *
 * @throws DomainError
 *   `polar_unavailable` not reached, too slow, busy (`details.retryAfterSeconds`), a server error, or an answer that does
 *   not come from Polar;
 *   `polar_refused` Polar refuses our token or request: a bug or a setting (`details.fields` that are wrong);
 *   `payment_failed`; `email_refused`; `polar_not_found`;
 *   `subscription_ended`, `subscription_inactive`, `subscription_locked`, `payments_not_ready`, `polar_conflict`
 */
export async function callPolar<T>(
  kind: 'read' | 'change',
  call: () => Promise<T>,
  happened?: () => Promise<T | undefined>,
): Promise<T> {
  const started = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    const end = polarCallSeconds.startTimer({ kind });
    try {
      const answer = await call();
      end({ outcome: 'ok' });
      return answer;
    } catch (thrown) {
      const failure = explain(thrown);
      end({ outcome: failure.outcome });
      const { error, outcome } = failure;
      if (outcome === 'unknown' && happened) {
        const done = await happened();
        if (done !== undefined) return done;
      }
      const again = kind === 'read' ? outcome !== 'refused' : outcome === 'busy';
      const wait = failure.retryAfterSeconds ?? 0.2 * 4 ** (attempt - 1);
      // An HTTP request may be waiting for this call, so for longer pauses the caller must retry.
      const elapsed = (performance.now() - started) / 1_000;
      if (!again || attempt === mostAttempts || elapsed + wait > patienceSeconds) throw error;
      await pause(wait * 1_000);
    }
  }
}

/** All items of one of the SDK's lists (`iterList`), page by page. */
export async function readAll<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const mostAttempts = 3;
const patienceSeconds = 5;

/** `busy` nothing was done · `unknown` it may have been done · `refused` nothing was done, and a retry is of no use. */
interface Failure {
  error: DomainError;
  outcome: 'busy' | 'unknown' | 'refused';
  retryAfterSeconds?: number;
}

function explain(thrown: unknown): Failure {
  if (thrown instanceof DomainError) return { error: thrown, outcome: 'refused' };
  if (thrown instanceof PolarRateLimitError) {
    // The SDK parses the header with parseInt: a date becomes NaN.
    const seconds = Number.isFinite(thrown.retryAfter) ? Math.max(0, thrown.retryAfter ?? 0) : undefined;
    const error = unavailable('Polar is limiting our requests: retry in a moment', seconds ?? 10);
    return seconds === undefined
      ? { error, outcome: 'busy' }
      : { error, outcome: 'busy', retryAfterSeconds: seconds };
  }
  if (thrown instanceof PolarClientError) {
    return { error: refusal(thrown.statusCode, thrown.error), outcome: 'refused' };
  }
  if (thrown instanceof PolarServerError) {
    return { error: unavailable('Polar answered with a server error: retry later'), outcome: 'unknown' };
  }
  if (thrown instanceof PolarNetworkError) {
    return { error: unavailable('Polar could not be reached: retry later'), outcome: 'unknown' };
  }
  // Errors of Node's own fetch that the SDK does not wrap, recognized by name: JSON.parse of a proxy's page, a
  // timeout, or a cut connection within the body.
  const { name, message } = named.safeParse(thrown).data ?? {};
  if (name === 'SyntaxError') {
    return { error: unavailable('Polar did not answer in JSON: retry later'), outcome: 'unknown' };
  }
  if (
    name === 'TimeoutError' ||
    name === 'AbortError' ||
    (name === 'TypeError' && message === 'terminated')
  ) {
    return { error: unavailable('Polar’s answer was cut off: retry later'), outcome: 'unknown' };
  }
  throw thrown;
}

const named = z.object({ name: z.string(), message: z.string() });

function unavailable(message: string, retryAfterSeconds = 5): DomainError {
  return new DomainError('polar_unavailable', message, { retryAfterSeconds });
}

/** A 4xx from Polar. `detail` is a sentence or, for an invalid body, a list of problems. */
function refusal(status: number, given: unknown): DomainError {
  const body = polarError.safeParse(typeof given === 'string' ? parseJson(given) : given);
  const name = body.data?.error;
  const detail = body.data?.detail;
  const sentence = typeof detail === 'string' ? detail : undefined;
  const problems = Array.isArray(detail)
    ? detail.map(({ loc, msg }) => ({ path: loc.join('.'), message: msg }))
    : [];
  const details = { polar: { status, error: name ?? null, detail: sentence ?? null } };

  const known = name === undefined ? undefined : knownRefusals[name];
  if (known) return new DomainError(known.code, known.message, details);
  if (status === 402) {
    return new DomainError(
      'payment_failed',
      sentence ?? 'The payment failed and nothing was changed',
      details,
    );
  }
  if (status === 404)
    return new DomainError('polar_not_found', sentence ?? 'Polar does not know this object', details);
  if (status === 409)
    return new DomainError(
      'polar_conflict',
      sentence ?? 'Polar refuses the change in the object’s current state',
      details,
    );
  if (status === 401) {
    return new DomainError(
      'polar_refused',
      'Polar refuses our access token: check POLAR_ACCESS_TOKEN',
      details,
    );
  }
  const why = sentence ?? problems.map(({ path, message }) => `${path}: ${message}`).join('; ');
  if (problems.length > 0 && problems.every(({ path }) => /(^|\.)email$/.test(path))) {
    return new DomainError(
      'email_refused',
      `Polar refuses the e-mail address (${why}): set an e-mail that exists and can receive mail`,
      { ...details, fields: problems.map(({ path }) => path) },
    );
  }
  return new DomainError('polar_refused', `Polar refused the request${why ? `: ${why}` : ''}`, {
    ...details,
    fields: problems.map(({ path }) => path),
  });
}

const knownRefusals: Record<string, { code: ErrorCode; message: string }> = {
  AlreadyCanceledSubscription: {
    code: 'subscription_ended',
    message: 'The subscription is canceled: resume it first, or subscribe again after it has ended',
  },
  InactiveSubscription: {
    code: 'subscription_inactive',
    message: 'The subscription is not active',
  },
  SubscriptionLocked: {
    code: 'subscription_locked',
    message: 'Another change of the subscription is in progress: retry in a moment',
  },
  PaymentNotReady: {
    code: 'payments_not_ready',
    message: 'Payments are not set up at Polar yet',
  },
};

const polarError = z.object({
  error: z.string().optional(),
  detail: z
    .union([
      z.string(),
      z.array(
        z.object({
          loc: z.array(z.union([z.string(), z.number()])).default([]),
          msg: z.string().default(''),
        }),
      ),
    ])
    .optional(),
});

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
