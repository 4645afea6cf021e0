import { createServer } from 'node:http';
import { webhooks } from '@polar-sh/sdk/2026-10';
import { listen, stopServer } from '../setup/listen.ts';

export interface ReceivedWebhook {
  id: string;
  event: webhooks.WebhookPayload;
}

export interface WebhookReceiver {
  readonly url: string;
  /** The accepted webhooks, in the order of arrival. */
  readonly received: ReceivedWebhook[];
  /** The ids of all webhooks that arrived, including those answered with a failure. */
  readonly seen: string[];
  types(): string[];
  /** Answers the next requests with these statuses instead of 202. */
  failNext(...statuses: number[]): void;
  /** Answers the first event with 500 until this many others are accepted. */
  failFirstUntil(others: number): void;
  /** Answers with 202 again. */
  recover(): void;
  secret: string;
  stop(): Promise<void>;
}

/** A small server that receives webhooks. The official SDK checks every signature. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const received: ReceivedWebhook[] = [];
  const seen: string[] = [];
  const failures: number[] = [];
  let othersFirst = 0;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const headers = Object.fromEntries(
      Object.entries(request.headers).flatMap(([name, value]) =>
        typeof value === 'string' ? [[name, value]] : [],
      ),
    );
    const id = headers['webhook-id'] ?? '';
    seen.push(id);
    const isEarly = id === seen[0] && received.length < othersFirst;
    const failure = isEarly ? 500 : failures.shift();
    if (failure !== undefined) {
      response.writeHead(failure, failure < 400 ? { location: '/elsewhere' } : {}).end();
      return;
    }
    try {
      const event = await webhooks.validateEvent(Buffer.concat(chunks), headers, receiver.secret);
      received.push({ id, event });
      response.writeHead(202).end();
    } catch (error) {
      response.writeHead(401).end(String(error));
    }
  });
  const receiver: WebhookReceiver = {
    url: `${await listen(server)}/webhooks`,
    received,
    seen,
    secret: '',
    types: () => received.map(({ event }) => event.type),
    recover: () => void failures.splice(0),
    failNext: (...statuses) => void failures.push(...statuses),
    failFirstUntil(others) {
      othersFirst = others;
    },
    stop: () => stopServer(server),
  };
  return receiver;
}
