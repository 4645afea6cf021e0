import type { components } from './api-types.ts';
import type { BillingClient } from './billing-client.ts';
import { BillingProblem, BillingUnavailable, isProblem } from './billing-error.ts';

/** One usage. Without an `idempotencyKey` the meter makes one. */
export type MeteredUsage = Omit<components['schemas']['BatchEvent'], 'idempotencyKey'> & {
  idempotencyKey?: string | undefined;
};
export type Receipt = components['schemas']['Receipt'];

export interface Meter {
  /**
   * Records a usage as soon as others have been gathered with it, and returns its own receipt.
   * @throws BillingProblem if the API refused this usage: `insufficient_credits`, `limit_reached`, …
   * @throws BillingUnavailable if no answer came; its outcome is unknown until the same key is sent again
   * @throws MeterRefused if too many usages wait, or the meter is closed; the usage was not sent
   */
  spend(usage: MeteredUsage): Promise<Receipt>;
  /** Sends what waits without gathering more, and resolves when every usage has its answer. Nothing more is accepted. */
  close(): Promise<void>;
}

export interface MeterOptions {
  /** How long a usage may wait for more usages while other batches are in flight, in milliseconds. Default: 5. */
  gatherMs?: number;
  /** How many usages may wait or be in flight. More are refused, so the memory is limited. Default: 10,000. */
  maxPending?: number;
  /** How many batches may be in flight at once. Default: 4. */
  maxConcurrentBatches?: number;
}

/** The meter did not send this usage. Try again later (`full`), or use another meter (`closed`). */
export class MeterRefused extends Error {
  override readonly name = 'MeterRefused';
  readonly reason: 'full' | 'closed';

  constructor(reason: 'full' | 'closed') {
    super(reason === 'full' ? 'Too many usages wait for their answer' : 'The meter is closed');
    this.reason = reason;
  }
}

/** The API's limit of a batch. */
const maxBatchEvents = 1_000;
/** A batch ends at this length of its JSON, in characters. The API's limit is 8 MiB. */
const maxBatchCharacters = 2_097_152;
/** While a batch is in flight, fewer usages than these wait for more, up to `gatherMs`: a smaller batch costs more than it saves. */
const minConcurrentBatchEvents = 16;
/** How often a usage is sent that the API answers with a retriable problem, such as `team_busy`. */
const maxAttempts = 5;
const retryDelayMs = 1_000;

/** A usage that waits for its answer. */
interface Pending {
  usage: MeteredUsage & { idempotencyKey: string };
  /** The usage as it was when `spend` was called, so that each attempt has the same body. */
  json: string;
  attempts: number;
  resolve(receipt: Receipt): void;
  reject(error: unknown): void;
}

/**
 * Gathers usages that many callers spend one by one into `POST /v1/usage/batch`. Each caller gets its own receipt or refusal.
 *
 * - If no batch is in flight, a usage is sent at once. Otherwise it waits for more, at most `gatherMs`. It is sent earlier if the
 *   batches in flight are answered, or if at least 16 usages wait and they are half as many as those in flight. So a lone caller does
 *   not wait, and many callers are in two batches in turn: while the API works on one, this process handles the answers of the other.
 * - Order is kept within a team: a team's usages are in one batch at a time. Only a usage that the API answers with a retriable
 *   problem may be overtaken, by those of its own batch.
 * - After a lost connection the same batch is sent again under the same keys, so nothing is spent twice.
 *
 * ```ts
 * const meter = createMeter(billing);
 * const receipt = await meter.spend({ teamId, action: 'workflow.run', quantities: { runs: 1 } });
 * process.once('SIGTERM', () => meter.close());
 * ```
 */
export function createMeter(
  billing: BillingClient,
  { gatherMs = 5, maxPending = 10_000, maxConcurrentBatches = 4 }: MeterOptions = {},
): Meter {
  /** Usages to send, per team, in order. The team that waits longest comes first. */
  const waiting = new Map<string, Pending[]>();
  /** Teams with a usage in flight or between two attempts. Their other usages wait. */
  const busyTeams = new Set<string>();
  /** Usages that wait in teams that are not busy. */
  let sendable = 0;
  let pending = 0;
  let batchesInFlight = 0;
  /** Usages in those batches. */
  let inFlight = 0;
  let isDue = false;
  let gatherTimer: ReturnType<typeof setTimeout> | undefined;
  let isPumpScheduled = false;
  let isClosed = false;
  const closed = Promise.withResolvers<void>();

  return {
    async spend(usage) {
      if (isClosed) throw new MeterRefused('closed');
      if (pending >= maxPending) throw new MeterRefused('full');
      const keyed = { ...usage, idempotencyKey: usage.idempotencyKey ?? crypto.randomUUID() };
      const json = JSON.stringify(keyed);
      const { promise, resolve, reject } = Promise.withResolvers<Receipt>();
      pending += 1;
      enqueue(keyed.teamId, 'last', [{ usage: keyed, json, attempts: 0, resolve, reject }]);
      return promise;
    },
    close() {
      isClosed = true;
      schedulePump();
      return closed.promise;
    },
  };

  function enqueue(teamId: string, place: 'first' | 'last', entries: Pending[]): void {
    const others = waiting.get(teamId) ?? [];
    waiting.set(teamId, place === 'first' ? [...entries, ...others] : others);
    if (place === 'last') others.push(...entries);
    if (!busyTeams.has(teamId)) sendable += entries.length;
    schedulePump();
  }

  /** Later, so that callers who spend in the same turn of the event loop, such as after a batch's answer, share a batch. */
  function schedulePump(): void {
    if (isPumpScheduled) return;
    isPumpScheduled = true;
    afterThisTurn(() => {
      isPumpScheduled = false;
      pump();
    });
  }

  function pump(): void {
    while (batchesInFlight < maxConcurrentBatches && sendable > 0) {
      if (!isBatchDue() && !isDue && !isClosed) {
        gatherTimer ??= setTimeout(() => {
          gatherTimer = undefined;
          isDue = true;
          pump();
        }, gatherMs);
        return;
      }
      void send(takeBatch(isDue || isClosed ? maxBatchEvents : nextBatchSize()));
      isDue = false;
      clearTimeout(gatherTimer);
      gatherTimer = undefined;
    }
    if (isClosed && pending === 0) closed.resolve();
  }

  /** Half of the usages in flight are enough, because some callers of an answered batch spend in teams that are in flight. */
  function isBatchDue(): boolean {
    const enough = Math.max(inFlight / 2, minConcurrentBatchEvents);
    return batchesInFlight === 0 || sendable >= Math.min(enough, maxBatchEvents);
  }

  /** Half of the usages that wait or are in flight, so that two batches take turns. */
  function nextBatchSize(): number {
    const half = Math.ceil((sendable + inFlight) / 2);
    return half < minConcurrentBatchEvents ? maxBatchEvents : Math.min(half, maxBatchEvents);
  }

  /** Takes whole teams until there are `size` usages. The last team may add more: its rest would wait for this batch anyway. */
  function takeBatch(size: number): Pending[] {
    const batch: Pending[] = [];
    let characters = 0;
    for (const [teamId, entries] of waiting) {
      if (batch.length >= size) break;
      if (busyTeams.has(teamId)) continue;
      let count = 0;
      for (const { json } of entries) {
        if (batch.length + count >= maxBatchEvents) break;
        if (characters > 0 && characters + json.length > maxBatchCharacters) break;
        characters += json.length;
        count += 1;
      }
      if (count === 0) break;
      busyTeams.add(teamId);
      sendable -= entries.length;
      batch.push(...entries.splice(0, count));
      waiting.delete(teamId);
      if (entries.length > 0) waiting.set(teamId, entries); // behind the other teams
    }
    return batch;
  }

  async function send(batch: Pending[]): Promise<void> {
    batchesInFlight += 1;
    inFlight += batch.length;
    const unsent = await post(batch);
    batchesInFlight -= 1;
    inFlight -= batch.length;
    for (const teamId of new Set(batch.map(({ usage }) => usage.teamId))) {
      const again = unsent.filter(({ usage }) => usage.teamId === teamId);
      if (again.length === 0) free(teamId);
      else setTimeout(() => free(teamId, again), retryDelayMs);
    }
    schedulePump();
  }

  /** Returns the usages that must be sent again. All others have their answer. */
  async function post(batch: Pending[]): Promise<Pending[]> {
    const answer = await billing
      .POST('/v1/usage/batch', {
        body: { events: batch.map(({ usage }) => usage) },
        bodySerializer: () => `{"events":[${batch.map(({ json }) => json).join(',')}]}`,
      })
      .catch((error: unknown) => ({ error }));
    const again: Pending[] = [];
    for (const [index, entry] of batch.entries()) {
      entry.attempts += 1;
      if ('error' in answer) {
        settle(entry).reject(unanswered(entry, answer.error));
        continue;
      }
      const result = answer.results[index];
      if (result === undefined) {
        settle(entry).reject(unanswered(entry, new Error('the answer has too few results')));
      } else if (!isProblem(result)) {
        const { status: _status, ...receipt } = result;
        if ('lines' in receipt) settle(entry).resolve(receipt);
        else await readReceipt(entry);
      } else if (result.retriable && entry.attempts < maxAttempts) {
        again.push(entry);
      } else {
        settle(entry).reject(new BillingProblem(result));
      }
    }
    return again;
  }

  /** Each usage is settled once, by the answer of its last attempt. */
  function settle(entry: Pending): Pending {
    pending -= 1;
    return entry;
  }

  function free(teamId: string, unsent: Pending[] = []): void {
    busyTeams.delete(teamId);
    sendable += waiting.get(teamId)?.length ?? 0;
    if (unsent.length > 0) enqueue(teamId, 'first', unsent);
  }

  /** A very long answer of a batch is shortened. The same key, sent alone, returns the whole receipt. */
  async function readReceipt(entry: Pending): Promise<void> {
    // As it was sent: the caller may have changed its own object since.
    const sent: Pending['usage'] = JSON.parse(entry.json);
    const { teamId, idempotencyKey, ...body } = sent;
    const params = { path: { teamId }, header: { 'Idempotency-Key': idempotencyKey } };
    try {
      const receipt = await billing.POST('/v1/teams/{teamId}/usage', { params, body });
      settle(entry).resolve(receipt);
    } catch (error) {
      settle(entry).reject(unanswered(entry, error));
    }
  }
}

/** Node has a call for it. Elsewhere a timer does the same, later. */
function afterThisTurn(run: () => void): void {
  const immediate: unknown = Reflect.get(globalThis, 'setImmediate');
  if (typeof immediate === 'function') immediate(run);
  else setTimeout(run, 0);
}

function unanswered({ usage }: Pending, error: unknown): unknown {
  if (error instanceof BillingProblem) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new BillingUnavailable(reason, usage.idempotencyKey, { cause: error });
}
