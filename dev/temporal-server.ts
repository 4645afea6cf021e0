import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { freePort } from './free-port.ts';
import { type Part, startPart } from './part.ts';

export type TemporalServer = {
  /** `host:port` of the frontend, for TEMPORAL_ADDRESS. */
  address: string;
  part: Part;
};

export type TemporalServerOptions = {
  /** Path of the Temporal CLI, from `resolveTemporal('temporal')`. */
  executable: string;
  logFile: string;
  /** The file in which its state survives a restart. Without one the state is kept in memory. */
  databaseFile?: string;
  /** Default: a free port. */
  port?: number;
  /** Without it there is no Web UI. */
  uiPort?: number;
  abort?: AbortSignal | undefined;
};

/** The attributes by which operators filter the list of workflows. */
export const searchAttributes = {
  Plan: 'Keyword',
  SubscriptionStatus: 'Keyword',
  NextCreditExpiry: 'Datetime',
  ParkedEvents: 'Int',
} as const;

/**
 * By default a shard of the history service looks for new tasks at most 20 times a second. A cluster has hundreds of
 * shards. The dev server has one, so with the default the workflows of all teams would share these 20 polls.
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
  return { address: `127.0.0.1:${port}`, part };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
