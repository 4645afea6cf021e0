import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { freePort } from './free-port.ts';
import { type Part, startPart } from './part.ts';

export type TemporalServer = {
  /** `host:port` of the frontend, for TEMPORAL_ADDRESS. */
  address: string;
  uiUrl: string | undefined;
  part: Part;
  stop(patienceMs?: number): Promise<void>;
};

export type TemporalServerOptions = {
  /** Path of the Temporal CLI, from `resolveTemporal('temporal')`. */
  executable: string;
  logFile: string;
  /** Where its state survives a restart; without one it is kept in memory. */
  databaseFile?: string;
  /** Default: a free one. */
  port?: number;
  /** Without one there is no Web UI. */
  uiPort?: number;
  abort?: AbortSignal | undefined;
};

/** What operators can filter the list of workflows by. */
export const searchAttributes = {
  Plan: 'Keyword',
  SubscriptionStatus: 'Keyword',
  NextCreditExpiry: 'Datetime',
  ParkedEvents: 'Int',
} as const;

/**
 * A shard of the history service looks for new tasks 20 times a second at most, by default. That suits a server with
 * hundreds of shards; the dev server has one, and would keep every workflow waiting once ten have moved in a second.
 */
const polls = ['transfer', 'timer', 'visibility'].map((queue) => `history.${queue}ProcessorMaxPollRPS=1000`);

/** Starts Temporal's dev server, on the loopback interface, with the namespace `default`. */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const { databaseFile, uiPort } = options;
  const port = options.port ?? (await freePort());
  if (databaseFile) mkdirSync(dirname(databaseFile), { recursive: true });
  const part = await startPart({
    name: 'Temporal',
    command: options.executable,
    args: [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'error'],
      ...(uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort), '--ui-disable-news-fetch']),
      ...(databaseFile ? ['--db-filename', databaseFile] : []),
      ...polls.flatMap((setting) => ['--dynamic-config-value', setting]),
      ...Object.entries(searchAttributes).flatMap(([name, type]) => [
        '--search-attribute',
        `${name}=${type}`,
      ]),
    ],
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/' },
    logFile: options.logFile,
    abort: options.abort,
    stopSignal: 'SIGINT',
    isReady: async () => (await accepts(port)) && (uiPort === undefined || (await accepts(uiPort))),
  });
  return {
    address: `127.0.0.1:${port}`,
    uiUrl: uiPort === undefined ? undefined : `http://localhost:${uiPort}`,
    part,
    stop: (patienceMs) => part.stop(patienceMs),
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}
