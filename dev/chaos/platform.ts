import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { createPolarClient } from '../../polar/client.ts';
import { freePort } from '../free-port.ts';
import { type Link, openLink } from '../link.ts';
import { type Part, type PartOptions, runTask, startPart } from '../part.ts';
import { startPostgres } from '../postgres.ts';
import type { Progress } from '../progress.ts';
import { registerWebhook } from '../register-webhook.ts';
import { resolveTemporal } from '../resolve-temporal.ts';
import { supervise } from '../supervisor.ts';
import { startTemporalServer } from '../temporal-server.ts';

/** All of billing as processes on one machine, with a link for each connection between two of them. */
export interface Platform {
  /** The current processes by name. Each is restarted when it ends. */
  parts: Map<string, Part>;
  /** The connections, by `client → server`. */
  links: Map<string, Link>;
  /** The URLs of the APIs for callers. */
  apiUrls: [string, string];
  serviceKey: string;
  /** Signs the tokens of users. */
  jwtSecret: string;
  /** The addresses without links, for the checks and for actions at Polar. */
  databaseUrl: string;
  temporalAddress: string;
  polar: { server: string; accessToken: string };
  /** Runs one of the repository's commands on this platform. Returns its output. */
  run(command: string): Promise<string[]>;
  stop(): Promise<void>;
}

const root = resolve(import.meta.dirname, '../..');

/**
 * Starts everything in `directory`. After a failure it stops what was started.
 * @param variables  more environment variables of all our processes
 * @param worker  false: none runs, so nothing is sent to other systems
 */
export async function startPlatform(
  directory: string,
  progress: Progress,
  { variables = {}, worker = true }: { variables?: Record<string, string>; worker?: boolean } = {},
): Promise<Platform> {
  const supervisor = supervise((line) => progress.say(`      ${line}`));
  try {
    return await start();
  } catch (error) {
    await supervisor.stop();
    throw error;
  }

  async function start(): Promise<Platform> {
    const [postgresPort, temporalPort, polarPort, ...apiPorts] = await freePorts(5);
    const password = randomBytes(16).toString('hex');
    const accessToken = `polar_oat_${randomBytes(16).toString('hex')}`;
    const serviceKey = `wl_dev_${randomBytes(24).toString('hex')}`;
    const jwtSecret = randomBytes(24).toString('hex');
    const parts: Platform['parts'] = new Map();
    const links: Platform['links'] = new Map();
    const link = async (name: string, ...ports: [number, ...number[]]) => {
      const opened = await openLink(...ports);
      links.set(name, opened);
      return opened.port;
    };
    const keep = async <T extends { part: Part }>(name: string, begin: () => Promise<T>) =>
      supervisor.keep(name, async () => {
        const started = await begin();
        parts.set(name, started.part);
        return started;
      });
    const logFile = (name: string) => resolve(directory, `${name}.log`);

    const postgres = await progress.step('Postgres', () =>
      keep('Postgres', () =>
        startPostgres({
          dataDir: resolve(directory, 'postgres'),
          logFile: logFile('postgres'),
          password,
          port: postgresPort,
          durable: false, // processes are killed, the machine is not
          abort: supervisor.stopping,
        }),
      ),
    );
    await postgres.createDatabase('billing');
    const temporal = await progress.step('Temporal', async () => {
      const { path } = await resolveTemporal('temporal', { abort: supervisor.stopping });
      return keep('Temporal', () =>
        startTemporalServer({
          executable: path,
          databaseFile: resolve(directory, 'temporal.db'),
          logFile: logFile('temporal'),
          port: temporalPort,
          abort: supervisor.stopping,
        }),
      );
    });

    const common = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/', LOG_LEVEL: 'warn' };
    const script = (name: string, file: string, env: Record<string, string>): PartOptions => ({
      name,
      command: process.execPath,
      args: [resolve(root, file)],
      env: { ...common, ...variables, DATA_DIR: directory, ...env },
      logFile: logFile(name),
      abort: supervisor.stopping,
    });
    const keepScript = (options: PartOptions) =>
      keep(options.name, async () => ({ part: await startPart({ ...options, saysReady: true }) }));

    const publicUrl = `http://127.0.0.1:${await link('Polar → API', ...apiPorts)}`;
    const polarServer = `http://127.0.0.1:${polarPort}`;
    await progress.step('Polar emulator', () =>
      keepScript(
        script('polar-emulator', 'polar-emulator/main.ts', {
          EMULATOR_PORT: String(polarPort),
          EMULATOR_DATA_DIR: resolve(directory, 'polar-emulator'),
          EMULATOR_ACCESS_TOKEN: accessToken,
          EMULATOR_LOOPBACK_WEBHOOKS: 'true',
          EMULATOR_RETRY_SCALE: '0.05', // ten attempts within a minute, not within an hour
        }),
      ),
    );
    const webhookSecret = await registerWebhook(
      createPolarClient({ accessToken, server: polarServer }),
      `${publicUrl}/v1/webhooks/polar`,
    );

    const direct = {
      DATABASE_URL: postgres.url('billing'),
      TEMPORAL_ADDRESS: temporal.address,
      POLAR_SERVER: polarServer,
      POLAR_ACCESS_TOKEN: accessToken,
      POLAR_WEBHOOK_SECRET: webhookSecret,
      PUBLIC_URL: publicUrl,
    };
    const run = (command: string) => {
      const [file = '', ...args] = command.split(' ');
      const task = script(file.replaceAll('/', '-'), file, direct);
      return runTask({ ...task, args: [...task.args, ...args] });
    };
    await progress.step('schema, catalog, products', async () => {
      await run('database/migrate-command.ts');
      await run('catalog/publish-command.ts');
      await run('polar/sync-command.ts --apply');
    });

    const linked = async (name: string) => {
      const database = new URL(direct.DATABASE_URL);
      database.port = String(await link(`${name} → Postgres`, postgresPort));
      return {
        ...direct,
        DATABASE_URL: database.href,
        TEMPORAL_ADDRESS: `127.0.0.1:${await link(`${name} → Temporal`, temporalPort)}`,
        POLAR_SERVER: `http://127.0.0.1:${await link(`${name} → Polar`, polarPort)}`,
      };
    };
    if (worker) {
      const workerVariables = {
        ...(await linked('worker')),
        WORKER_OPERATIONS_PORT: String(await freePort()),
      };
      await progress.step('worker', () =>
        keepScript({ ...script('worker', 'worker/main.ts', workerVariables), patienceMs: 30_000 }),
      );
    }
    const apiVariables = {
      ...(await linked('API')),
      AUTH_JWT_SECRET: jwtSecret,
      SERVICE_API_KEY: serviceKey,
    };
    const startApi = async (name: string, port: number) => {
      const ports = { PORT: String(port), OPERATIONS_PORT: String(await freePort()) };
      await keepScript(script(name, 'api/main.ts', { ...apiVariables, ...ports }));
      return `http://127.0.0.1:${await link(`caller → ${name}`, port)}`;
    };
    const apiUrls = await progress.step(
      'two APIs',
      async (): Promise<[string, string]> => [
        await startApi('API 1', apiPorts[0]),
        await startApi('API 2', apiPorts[1]),
      ],
    );

    return {
      parts,
      links,
      apiUrls,
      serviceKey,
      jwtSecret,
      databaseUrl: direct.DATABASE_URL,
      temporalAddress: direct.TEMPORAL_ADDRESS,
      polar: { server: polarServer, accessToken },
      run,
      async stop() {
        await supervisor.stop();
        for (const link of links.values()) await link.close();
      },
    };
  }
}

async function freePorts(_count: 5): Promise<[number, number, number, number, number]> {
  return [await freePort(), await freePort(), await freePort(), await freePort(), await freePort()];
}
