import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import type { HttpLoad, HttpLoadAnswer } from '../http-load.ts';
import { toRun } from '../interleave.ts';
import { pickFrom, usage } from '../workload.ts';
import { answerMessages } from './answer-messages.ts';

/**
 * The load, in its own process: each connection stays open and sends its next request after the previous answer. It
 * writes and reads HTTP/1.1 over plain sockets, because an HTTP client would use more of the two cores than some of
 * the servers do.
 */
answerMessages(run);

const body = JSON.stringify(usage);

async function run(load: HttpLoad): Promise<HttpLoadAnswer> {
  const connections = await Promise.all(
    load.origins.flatMap((origin) => Array.from({ length: load.connections }, () => open(new URL(origin)))),
  );
  const latencies: number[] = [];
  let acknowledged = 0;
  const started = performance.now();
  const until = started + load.seconds * 1_000;
  await Promise.all(
    connections.map(async ({ send, close }) => {
      for (let sent = performance.now(); sent < until; ) {
        const answer = await send(load.batch === null ? single(load) : batch(load, load.batch));
        acknowledged += countSuccesses(answer, load.batch);
        const answered = performance.now();
        latencies.push(answered - sent);
        sent = answered;
      }
      close();
    }),
  );
  const elapsed = performance.now() - started;
  const { p50, p99 } = toRun(latencies, elapsed);
  return { acknowledged, run: { perSecond: (acknowledged / elapsed) * 1_000, p50, p99 } };
}

function single({ teamIds, serviceKey }: HttpLoad): string {
  return request(`/v1/teams/${pickFrom(teamIds)}/usage`, serviceKey, body);
}

function batch({ teamIds, serviceKey }: HttpLoad, size: number): string {
  const events = Array.from(
    { length: size },
    () => `{"teamId":"${pickFrom(teamIds)}","idempotencyKey":"${randomUUID()}",${body.slice(1)}`,
  );
  return request('/v1/usage/batch', serviceKey, `{"events":[${events.join(',')}]}`);
}

function request(path: string, serviceKey: string, json: string): string {
  return [
    `POST ${path} HTTP/1.1`,
    'Host: bench',
    `Authorization: Bearer ${serviceKey}`,
    `Idempotency-Key: ${randomUUID()}`,
    'Content-Type: application/json',
    `Content-Length: ${json.length}`,
    '',
    json,
  ].join('\r\n');
}

/** A load with errors would measure something else, so it ends the run. */
function countSuccesses({ status, text }: Answer, batchSize: number | null): number {
  if (batchSize === null && status === 201) return 1;
  const refused = batchSize === null || status !== 200 || text.split('"status":201').length - 1 !== batchSize;
  if (refused) throw new Error(`the load was refused: ${status} ${text.slice(0, 500)}`);
  return batchSize;
}

interface Answer {
  status: number;
  text: string;
}

interface Connection {
  send(request: string): Promise<Answer>;
  close(): void;
}

function open({ hostname, port }: URL): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    let waiting: { resolve(answer: Answer): void; reject(error: Error): void } | null = null;
    let received: Buffer[] = [];
    let missing = Number.POSITIVE_INFINITY; // in bytes, after the head has arrived
    socket.on('data', (bytes) => {
      received.push(bytes);
      if (missing === Number.POSITIVE_INFINITY) {
        const sofar = received.length === 1 ? bytes : Buffer.concat(received);
        const end = sofar.indexOf('\r\n\r\n');
        if (end < 0) return;
        received = [sofar];
        missing = end + 4 + contentLength(sofar.toString('latin1', 0, end)) - sofar.length;
      } else missing -= bytes.length;
      if (missing > 0) return;
      const answer = Buffer.concat(received).toString('utf8');
      received = [];
      missing = Number.POSITIVE_INFINITY;
      waiting?.resolve({
        status: Number(answer.slice(9, 12)),
        text: answer.slice(answer.indexOf('\r\n\r\n') + 4),
      });
    });
    const fail = (error: Error) => {
      reject(error);
      waiting?.reject(error);
    };
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the server closed the connection')));
    socket.on('connect', () =>
      resolve({
        send: (text) =>
          new Promise((resolve, reject) => {
            waiting = { resolve, reject };
            socket.write(text);
          }),
        close: () => void socket.destroy(),
      }),
    );
  });
}

function contentLength(head: string): number {
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  if (length === undefined) throw new Error(`an answer without Content-Length:\n${head}`);
  return Number(length);
}
