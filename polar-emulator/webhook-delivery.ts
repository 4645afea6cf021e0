import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Emulator, WebhookData, WebhookType } from './emulator.ts';
import type { Faults } from './faults.ts';
import type { Records, WebhookEventRecord } from './records.ts';

const mostAttempts = 10;
const timeoutMs = 10_000;
const firstRetryMs = 2_000;
const longestRetryMs = 20 * 60_000;
/** An endpoint is disabled after this many failed events in a row. */
const mostFailedEvents = 10;

export interface WebhookDelivery {
  /** Stores a webhook for every enabled endpoint that subscribes to it. */
  record<T extends WebhookType>(type: T, data: WebhookData<T>): void;
  /** Sends everything committed since the last call. */
  kick(): void;
  /** Sends an event again under its own id, whatever its state is. */
  redeliver(eventId: string): void;
  /** Sends the webhooks that faults hold back. */
  release(): void;
  /** Resolves when everything due has been attempted; with `retries`, when no attempt is left. */
  idle(options?: { retries?: boolean }): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Delivers webhooks as Polar does: Standard Webhooks signatures, 10 s to answer, a redirect is a failure, up to ten
 * attempts with pauses that double from 2 s to 20 min. First attempts to an endpoint are sequential and in order.
 * Retries do not delay later events, so they arrive out of order. The state survives a restart.
 */
export function webhookDelivery(emulator: Emulator, faults: Faults, retryScale: number): WebhookDelivery {
  const { store } = emulator;
  const stopping = new AbortController();
  const committed: { eventId: string; forced: boolean }[] = [];
  const lines = new Map<string, { eventId: string; forced: boolean }[]>();
  const running = new Set<Promise<void>>();
  const waiting = new Map<string, { timer: NodeJS.Timeout }>();
  let position = store.events.all().reduce((last, event) => Math.max(last, event.position), 0);

  const run = (work: Promise<void>) => {
    running.add(work);
    void work.finally(() => running.delete(work));
  };

  const enqueue = (event: WebhookEventRecord, forced: boolean) => {
    const line = lines.get(event.endpoint_id);
    if (line) {
      line.push({ eventId: event.id, forced });
      return;
    }
    const fresh = [{ eventId: event.id, forced }];
    lines.set(event.endpoint_id, fresh);
    run(walk(event.endpoint_id, fresh));
  };

  const walk = async (endpointId: string, line: { eventId: string; forced: boolean }[]) => {
    await sleep(0);
    for (let next = line[0]; next && !stopping.signal.aborted; next = line[0]) {
      await attempt(next.eventId, next.forced);
      line.shift();
    }
    lines.delete(endpointId);
  };

  const attempt = async (eventId: string, forced: boolean) => {
    const event = store.events.get(eventId);
    const endpoint = event && store.endpoints.get(event.endpoint_id);
    if (!event || !endpoint || (event.wire.succeeded && !forced)) return;
    if (!endpoint.enabled) {
      store.transaction(() =>
        store.events.put({ ...event, next_attempt_at: null, wire: { ...event.wire, skipped: true } }),
      );
      return;
    }
    const result = await send(endpoint, event, stopping.signal);
    if (result === 'stopped') return;
    store.transaction(() => settle(eventId, result));
  };

  const settle = (eventId: string, result: SendResult) => {
    const event = store.events.get(eventId);
    const endpoint = event && store.endpoints.get(event.endpoint_id);
    if (!event || !endpoint) return;
    store.deliveries.put({
      created_at: emulator.stamp(),
      modified_at: null,
      id: randomUUID(),
      event_id: eventId,
      endpoint_id: endpoint.id,
      ...result,
    });
    const attempts = event.attempts + 1;
    const over = result.succeeded || attempts >= mostAttempts;
    const delay = Math.min(firstRetryMs * 2 ** (attempts - 1), longestRetryMs) * retryScale;
    const saved = store.events.put({
      ...event,
      attempts,
      next_attempt_at: over ? null : Date.now() + delay,
      wire: {
        ...event.wire,
        skipped: false,
        last_http_code: result.http_code,
        succeeded: result.succeeded || (event.wire.succeeded ?? (over ? false : null)),
      },
    });
    if (saved.next_attempt_at !== null) retryLater(saved);
    if (over) countFailures(endpoint, result.succeeded);
  };

  const retryLater = (event: WebhookEventRecord) => {
    clearTimeout(waiting.get(event.id)?.timer);
    const delay = Math.max(0, (event.next_attempt_at ?? 0) - Date.now());
    const timer = setTimeout(() => {
      waiting.delete(event.id);
      run(attempt(event.id, false));
    }, delay);
    waiting.set(event.id, { timer });
  };

  const countFailures = (endpoint: Records['endpoints'], succeeded: boolean) => {
    const failed_in_row = succeeded ? 0 : endpoint.failed_in_row + 1;
    const enabled = endpoint.enabled && failed_in_row < mostFailedEvents;
    if (failed_in_row === endpoint.failed_in_row && enabled === endpoint.enabled) return;
    store.endpoints.put({ ...endpoint, failed_in_row, enabled });
  };

  const release = () => {
    store.transaction(() => {
      for (const event of store.events
        .all()
        .filter(({ held }) => held)
        .reverse()) {
        store.events.put({ ...event, held: false });
        committed.push({ eventId: event.id, forced: false });
      }
    });
  };

  const delivery: WebhookDelivery = {
    record(type, data) {
      const timestamp = emulator.stamp();
      const wanted = store.endpoints.all().filter(({ enabled, events }) => enabled && events.includes(type));
      for (const { id: endpoint_id, api_version } of wanted) {
        const fault = faults.takeWebhook(type);
        if (fault === 'lost') continue;
        const id = randomUUID();
        position += 1;
        store.events.put({
          id,
          endpoint_id,
          position,
          held: fault === 'hold',
          attempts: 0,
          next_attempt_at: Date.now(),
          wire: {
            created_at: timestamp,
            modified_at: null,
            id,
            last_http_code: null,
            succeeded: null,
            skipped: false,
            api_version,
            payload: JSON.stringify({ type, timestamp, api_version, data }),
            type,
            is_archived: false,
          },
        });
        if (fault !== 'hold') committed.push({ eventId: id, forced: false });
        if (fault === 'duplicate') committed.push({ eventId: id, forced: true });
      }
    },
    kick() {
      if (stopping.signal.aborted) return;
      for (const { eventId, forced } of committed.splice(0)) {
        const event = store.events.get(eventId);
        if (event) enqueue(event, forced);
      }
      if (faults.takeRelease()) release();
    },
    redeliver(eventId) {
      store.events.demand(eventId);
      committed.push({ eventId, forced: true });
    },
    release,
    async idle({ retries = false } = {}) {
      do {
        await Promise.all(running);
        if (running.size === 0 && retries && waiting.size > 0) await sleep(5);
      } while (running.size > 0 || (retries && waiting.size > 0));
    },
    async stop() {
      stopping.abort();
      for (const { timer } of waiting.values()) clearTimeout(timer);
      waiting.clear();
      await Promise.all(running);
    },
  };

  // Continues the deliveries of an earlier process: first attempts in order, retries at their time.
  release();
  const unfinished = store.events.all().filter(({ next_attempt_at }) => next_attempt_at !== null);
  for (const event of unfinished.sort((a, b) => a.position - b.position)) {
    if (event.attempts > 0) retryLater(event);
    else if (!committed.some(({ eventId }) => eventId === event.id)) {
      committed.push({ eventId: event.id, forced: false });
    }
  }
  return delivery;
}

/** The three headers of a Standard Webhook. The timestamp is wall time, because receivers compare it with theirs. */
export function signWebhook(
  secret: string,
  id: string,
  body: string,
  at = new Date(),
): Record<string, string> {
  const timestamp = Math.floor(at.getTime() / 1000);
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': `v1,${signature}`,
  };
}

interface SendResult {
  succeeded: boolean;
  http_code: number | null;
  response: string | null;
}

async function send(
  endpoint: Records['endpoints'],
  event: WebhookEventRecord,
  stopped: AbortSignal,
): Promise<SendResult | 'stopped'> {
  const body = event.wire.payload ?? '';
  try {
    const response = await fetch(endpoint.url, {
      method: 'POST',
      redirect: 'manual',
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), stopped]),
      headers: {
        'user-agent': 'polar.sh webhooks',
        'content-type': 'application/json',
        'webhook-api-version': event.wire.api_version,
        ...signWebhook(endpoint.secret, event.id, body),
      },
      body,
    });
    const text = (await response.text()).slice(0, 2048);
    return { succeeded: response.ok, http_code: response.status, response: text || null };
  } catch (error) {
    if (stopped.aborted) return 'stopped';
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
    return { succeeded: false, http_code: null, response: `${String(error)}${cause}`.slice(0, 2048) };
  }
}
