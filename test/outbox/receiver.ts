import { createServer, type IncomingHttpHeaders } from 'node:http';
import { Webhook } from 'standardwebhooks';
import { listen, stopServer } from '../setup/listen.ts';

/** A received message, as it was verified. */
export interface Received {
  id: string;
  type: string;
  teamId: string;
  data: Record<string, unknown>;
}

/** The endpoint of another system: verifies each message with `standardwebhooks`. */
export interface Receiver {
  url: string;
  received: Received[];
  /** The secret that verifies. A message that it does not verify is answered with 401 and counted. */
  secret: string;
  refused: number;
  /** The status of the answers, or null: no answer. */
  answer: (message: Received) => number | null | Promise<number>;
  /** The highest number of concurrent posts so far. */
  mostAtOnce: number;
  stop(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  let open = 0;
  const server = createServer((request, response) => {
    open += 1;
    receiver.mostAtOnce = Math.max(receiver.mostAtOnce, open);
    response.once('close', () => {
      open -= 1;
    });
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const message = verify(receiver.secret, Buffer.concat(chunks), request.headers);
      if (!message) {
        receiver.refused += 1;
        response.writeHead(401).end();
        return;
      }
      receiver.received.push(message);
      const status = await receiver.answer(message);
      if (status !== null) response.writeHead(status).end();
    });
  });
  const url = await listen(server);
  const receiver: Receiver = {
    url: `${url}/hook`,
    received: [],
    secret: '',
    refused: 0,
    answer: () => 204,
    mostAtOnce: 0,
    async stop() {
      await stopServer(server);
    },
  };
  return receiver;
}

function verify(secret: string, body: Buffer, headers: IncomingHttpHeaders): Received | null {
  try {
    const message = new Webhook(secret).verify(body, headers as Record<string, string>) as {
      type: string;
      data: { teamId: string } & Record<string, unknown>;
    };
    return {
      id: String(headers['webhook-id']),
      type: message.type,
      teamId: message.data.teamId,
      data: message.data,
    };
  } catch {
    return null;
  }
}
