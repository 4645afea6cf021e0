import { BillingUnavailable } from './billing-error.ts';

/** Who calls. A token may be a function, which is called for each attempt, so that it can return a fresh one. */
export type Credentials =
  | { serviceKey: string }
  | { token: string | (() => string | Promise<string>) }
  | { cookie: true };

/** When requests are sent again. */
export interface RetryOptions {
  /** How often a request is sent at most. Default: 5. */
  maxAttempts?: number;
  /** The longest time from the first attempt to the start of the last one, in milliseconds. Default: 60,000. */
  maxTotalMs?: number;
  /** The longest time for one attempt, in milliseconds. Default: 30,000. */
  attemptTimeoutMs?: number;
  /** The longest wait before the second attempt if there is no `Retry-After`, in milliseconds. It doubles. Default: 400. */
  firstBackoffMs?: number;
}

const maxBackoffMs = 10_000;

/**
 * `fetch` for the API. Each POST gets an `Idempotency-Key`, if it has none, and keeps it in each attempt. A request is sent again
 * after 429, 502, 503 and 504, after each answer with `Retry-After`, and after a lost connection. It waits as long as
 * `Retry-After` says, otherwise exponentially longer, with jitter. The last answer is returned as it is.
 * @throws BillingUnavailable if no answer came; the signal's reason if the caller aborted
 */
export function createRetryingFetch(
  credentials: Credentials,
  {
    maxAttempts = 5,
    maxTotalMs = 60_000,
    attemptTimeoutMs = 30_000,
    firstBackoffMs = 400,
  }: RetryOptions = {},
  fetch: (request: Request) => Promise<Response> = (request) => globalThis.fetch(request),
): (request: Request) => Promise<Response> {
  return async (request) => {
    if (request.method === 'POST' && !request.headers.has('idempotency-key')) {
      request.headers.set('idempotency-key', crypto.randomUUID());
    }
    // Read once, because cloning a request for each attempt costs more than sending it.
    const body = request.body === null ? undefined : await request.arrayBuffer();
    const deadline = Date.now() + maxTotalMs;
    for (let attempt = 1; ; attempt += 1) {
      const isLast = attempt >= maxAttempts;
      let answer: Response | undefined;
      let failure: unknown;
      try {
        answer = await sendOnce(request, body);
        if (!isWorthRetrying(answer)) return answer;
      } catch (error) {
        request.signal.throwIfAborted();
        failure = error;
      }
      const waitMs =
        retryAfterMs(answer) ?? jitter(Math.min(firstBackoffMs * 2 ** (attempt - 1), maxBackoffMs));
      if (isLast || Date.now() + waitMs > deadline) {
        if (answer) return answer;
        const reason = failure instanceof Error ? failure.message : String(failure);
        throw new BillingUnavailable(reason, request.headers.get('idempotency-key'), { cause: failure });
      }
      await wait(waitMs, request.signal);
    }
  };

  /** JSON is read here, so that a connection that is lost in the middle of an answer counts as lost. */
  async function sendOnce(request: Request, body: ArrayBuffer | undefined): Promise<Response> {
    const timeout = new AbortController();
    const timer = setTimeout(
      () => timeout.abort(new Error(`it took longer than ${attemptTimeoutMs} ms`)),
      attemptTimeoutMs,
    );
    try {
      const attempt = new Request(request, {
        ...(body === undefined ? {} : { body }),
        signal: AbortSignal.any([request.signal, timeout.signal]),
        ...('cookie' in credentials ? { credentials: 'include' } : {}),
      });
      const bearer = await bearerOf(credentials);
      if (bearer !== undefined) attempt.headers.set('authorization', `Bearer ${bearer}`);
      const answer = await fetch(attempt);
      if (!answer.headers.get('content-type')?.includes('json')) return answer;
      const { status, statusText, headers } = answer;
      return new Response(await answer.text(), { status, statusText, headers });
    } finally {
      clearTimeout(timer);
    }
  }
}

async function bearerOf(credentials: Credentials): Promise<string | undefined> {
  if ('serviceKey' in credentials) return credentials.serviceKey;
  if ('cookie' in credentials) return undefined;
  return typeof credentials.token === 'string' ? credentials.token : credentials.token();
}

function isWorthRetrying({ status, headers }: Response): boolean {
  return [429, 502, 503, 504].includes(status) || headers.has('retry-after');
}

/** `Retry-After` as seconds or as a date. Undefined: there is none, or it cannot be read. */
function retryAfterMs(answer: Response | undefined): number | undefined {
  const value = answer?.headers.get('retry-after');
  if (!value) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0);
}

/** Full jitter: clients that failed at the same time do not return at the same time. */
function jitter(ms: number): number {
  return Math.random() * ms;
}

/** @throws the signal's reason if it is aborted */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
