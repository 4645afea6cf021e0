import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Platform } from './platform.ts';
import type { Random } from './random.ts';

/** The outcome of a request with an idempotency key. Without an answer, both are right: it was done, or it was not. */
export type Outcome = { done: string } | 'refused' | 'unknown';

/** The answers that the callers got. */
export interface Observed {
  /** By idempotency key. */
  requests: Map<string, Outcome>;
  /** The teams of users who signed up. */
  teams: string[];
  /** Checkouts whose payment Polar has confirmed. */
  paid: string[];
  /** Answers that no caller may get, such as 500. */
  wrong: Set<string>;
  /** Answers by status, and requests without one. */
  answers: Map<string, number>;
}

interface Answer {
  status: number;
  body: unknown;
}

const callers = 10;
const pauseMs = [20, 200] as const;
const patienceMs = 15_000;
const mostTeams = 60;
/** A caller repeats a request until it is answered, but sometimes one gives up. */
const abandonProbability = 0.02;
const batchSize = 20;

const withId = z.object({ id: z.string() });
const signedUp = z.object({ team: withId });
const batchAnswer = z.object({
  results: z.array(
    z.union([z.object({ status: z.literal(201), id: z.string() }), z.object({ status: z.int() })]),
  ),
});
const listed = z.object({ items: z.array(withId) });
const usage = { action: 'workflow.run', quantities: { runs: 1 } };

export interface Load {
  observed: Observed;
  /** Starts no new requests, and waits until those in flight are answered or `patienceMs` are over. */
  stop(patienceMs: number): Promise<void>;
}

/** Starts callers that sign up, spend, hold, buy, subscribe, refund, change and read, on all teams at once. */
export async function startLoad(platform: Platform, random: Random): Promise<Load> {
  const { apiUrls, serviceKey, polar } = platform;
  const observed: Observed = {
    requests: new Map(),
    teams: [],
    paid: [],
    wrong: new Set(),
    answers: new Map(),
  };
  const stopping = new AbortController();
  const givingUp = new AbortController();

  for (let i = 0; i < 5; i += 1) await signUp(random);
  const running = Array.from({ length: callers }, (_, index) => call(random.fork(`caller ${index}`)));
  return {
    observed,
    async stop(patienceMs) {
      stopping.abort();
      const timer = setTimeout(() => givingUp.abort(), patienceMs);
      await Promise.all(running);
      clearTimeout(timer);
    },
  };

  async function call(own: Random): Promise<void> {
    // The worker applies Polar's events one after another per team, so there are far fewer of them.
    const kinds = [
      spend,
      spend,
      spend,
      spend,
      spend,
      batch,
      hold,
      hold,
      hold,
      adjust,
      read,
      read,
      change,
      signUp,
      money,
    ] as const;
    while (!stopping.signal.aborted) {
      await own.pick(kinds)(own);
      await sleep(own.between(...pauseMs));
    }
  }

  async function signUp(own: Random): Promise<void> {
    if (observed.teams.length >= mostTeams) return;
    const id = `chaos_${crypto.randomUUID().slice(0, 8)}`;
    const body = { id, email: `${id}@example.com`, name: 'Somebody' };
    const answered = await insist(own, 'POST', '/v1/users', body, [200, 201]);
    const { data } = signedUp.safeParse(answered?.body);
    if (data) observed.teams.push(data.team.id);
  }

  async function spend(own: Random): Promise<void> {
    await keyed(own, `/v1/teams/${team(own)}/usage`, usage);
  }

  async function batch(own: Random): Promise<void> {
    let events = Array.from({ length: batchSize }, () => ({
      teamId: team(own),
      idempotencyKey: crypto.randomUUID(),
      ...usage,
    }));
    for (const { idempotencyKey } of events) observed.requests.set(idempotencyKey, 'unknown');
    for (let first = true; events.length > 0; first = false) {
      const answered = await insist(own, 'POST', '/v1/usage/batch', { events }, [200]);
      const { data } = batchAnswer.safeParse(answered?.body);
      if (!answered || !data) return;
      events = events.filter(({ idempotencyKey }, index) => {
        const result = data.results[index];
        if (result && 'id' in result) observed.requests.set(idempotencyKey, { done: result.id });
        else if (result?.status === 402 && first && answered.first)
          observed.requests.set(idempotencyKey, 'refused');
        else if (result?.status !== 402 && result?.status !== 503)
          observed.wrong.add(`an event of a batch: ${result?.status}`);
        return result?.status === 503 && !givingUp.signal.aborted;
      });
    }
  }

  async function hold(own: Random): Promise<void> {
    const body = { action: 'workflow.run', credits: '2' };
    const id = await keyed(own, `/v1/teams/${team(own)}/holds`, body);
    if (id === null) return;
    const then = own.next();
    if (then < 0.6) await keyed(own, `/v1/holds/${id}/capture`, { credits: own.pick(['1', '2']) });
    else if (then < 0.8) await keyed(own, `/v1/holds/${id}/release`, undefined);
  }

  async function adjust(own: Random): Promise<void> {
    const body = { credits: own.pick(['+20', '+5', '-3']), reason: 'chaos' };
    await keyed(own, `/v1/teams/${team(own)}/adjustments`, body);
  }

  async function money(own: Random): Promise<void> {
    await own.pick([buy, buy, subscribe, atPolar, atPolar])(own);
  }

  async function buy(own: Random): Promise<void> {
    await checkOut(own, 'pack_1000');
  }

  async function subscribe(own: Random): Promise<void> {
    await checkOut(own, 'starter_monthly');
  }

  async function checkOut(own: Random, product: string): Promise<void> {
    const path = `/v1/teams/${team(own)}/checkout`;
    const answered = await insist(own, 'POST', path, { product }, [201, 409]);
    const { data } = withId.safeParse(answered?.body);
    if (!data || own.next() < 0.2) return;
    if (await press(`/checkouts/${data.id}/pay`)) observed.paid.push(data.id);
  }

  /** The actions of banks, of payers in Polar's portal, and of the end of a month. */
  async function atPolar(own: Random): Promise<void> {
    const external_customer_id = team(own);
    const kind = own.pick(['orders', 'subscriptions']);
    const found = await fetch(
      `${polar.server}/v1/${kind}/?${new URLSearchParams({ external_customer_id })}`,
      {
        headers: { authorization: `Bearer ${polar.accessToken}` },
        signal: AbortSignal.timeout(patienceMs),
      },
    )
      .then((response) => response.json())
      .catch(() => null);
    const [item] = own.shuffle(listed.safeParse(found).data?.items ?? []);
    if (!item) return;
    await press(kind === 'orders' ? `/orders/${item.id}/refund` : `/subscriptions/${item.id}/renew-now`);
  }

  async function change(own: Random): Promise<void> {
    const path = `/v1/teams/${team(own)}`;
    const limit = { credits: '100000', per: 'day' };
    if (own.next() < 0.7) await insist(own, 'PUT', `${path}/limits/keys/chaos`, limit, [200]);
    else
      await insist(
        own,
        'POST',
        `${path}/subscription/change`,
        { plan: own.pick(['pro_monthly', 'starter_monthly']) },
        [200, 402, 404, 409],
      );
  }

  async function read(own: Random): Promise<void> {
    const since = new Date(Date.now() - 3_600_000).toISOString();
    const path = own.pick([
      '/balance',
      `/balance?at=${since}`,
      `/usage?from=${since}&groupBy=action`,
      '/usage/events',
      '/invoices',
      '/subscription',
    ]);
    await insist(own, 'GET', `/v1/teams/${team(own)}${path}`, undefined, [200]);
  }

  function team(own: Random): string {
    const [first = '', ...rest] = observed.teams;
    return own.pick([first, ...rest]);
  }

  /** Sends a request whose key is checked at the end. @returns the id of the created object */
  async function keyed(own: Random, path: string, body: object | undefined): Promise<string | null> {
    const key = crypto.randomUUID();
    observed.requests.set(key, 'unknown');
    const answered = await insist(own, 'POST', path, body, [200, 201, 402], key);
    const { data } = withId.safeParse(answered?.body);
    if (answered?.status === 402 && answered.first) observed.requests.set(key, 'refused');
    if (!data || answered?.status === 402) return null;
    observed.requests.set(key, { done: data.id });
    return data.id;
  }

  /**
   * Repeats a request until its answer is final.
   * @returns its answer, and whether it was the answer to the first attempt; null if the caller gave up
   */
  async function insist(
    own: Random,
    method: string,
    path: string,
    body: object | undefined,
    expected: readonly number[],
    key = crypto.randomUUID(),
  ): Promise<(Answer & { first: boolean }) | null> {
    for (let first = true; !givingUp.signal.aborted; first = false) {
      const answer = await send(own.pick(apiUrls), method, path, body, key);
      count(answer ? String(answer.status) : 'no answer');
      if (answer && expected.includes(answer.status)) return { ...answer, first };
      if (answer && ![429, 502, 503].includes(answer.status)) {
        const route = path.replace(/\?.*/, '').replace(/[0-9a-f-]{36}/g, ':id');
        observed.wrong.add(
          `${method} ${route}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`,
        );
        return null;
      }
      if (own.next() < abandonProbability) return null;
      await sleep(own.between(100, 500));
    }
    return null;
  }

  async function send(
    url: string,
    method: string,
    path: string,
    body: object | undefined,
    key: string,
  ): Promise<Answer | null> {
    const headers = {
      authorization: `Bearer ${serviceKey}`,
      'idempotency-key': key,
      ...(body ? { 'content-type': 'application/json' } : {}),
    };
    try {
      const response = await fetch(url + path, {
        method,
        headers,
        ...(body ? { body: JSON.stringify(body) } : {}),
        signal: AbortSignal.timeout(patienceMs),
      });
      return { status: response.status, body: await response.json() };
    } catch {
      return null;
    }
  }

  /** Calls an action of the emulator, which may be down. @returns whether it was confirmed */
  async function press(path: string): Promise<boolean> {
    const init = { method: 'POST', signal: AbortSignal.timeout(patienceMs) };
    const pressed = await fetch(`${polar.server}/emulator${path}`, init).catch(() => null);
    return pressed?.ok ?? false;
  }

  function count(answer: string): void {
    observed.answers.set(answer, (observed.answers.get(answer) ?? 0) + 1);
  }
}
