import { relative, resolve } from 'node:path';
import { environmentVariables } from '../environment.ts';
import { createPolarClient } from '../polar/client.ts';
import { CannotStart, type DataDirectory } from './data-directory.ts';
import { leash } from './leash.ts';
import { type PartOptions, runTask, startPart } from './part.ts';
import { startPostgres } from './postgres.ts';
import type { Progress } from './progress.ts';
import { registerWebhook } from './register-webhook.ts';
import { resolveTemporal } from './resolve-temporal.ts';
import type { Supervisor } from './supervisor.ts';
import { startTemporalServer } from './temporal-server.ts';

/** Environment variables by name, empty ones left out. */
export type Variables = Record<string, string>;

const root = resolve(import.meta.dirname, '..');

/** Everything that the processes will be told. All of it is known before anything starts, so all is checked. */
export function planVariables(
  given: Variables,
  { path, secrets, ports }: DataDirectory,
  port: number,
): Variables {
  if (given.POLAR_SERVER && !given.POLAR_ACCESS_TOKEN) {
    throw new CannotStart(
      'POLAR_SERVER is set without POLAR_ACCESS_TOKEN: set both, or neither for the emulator',
    );
  }
  if (given.POLAR_ACCESS_TOKEN && !given.POLAR_WEBHOOK_SECRET) {
    throw new CannotStart(
      "POLAR_ACCESS_TOKEN is set without POLAR_WEBHOOK_SECRET, the webhook endpoint's secret",
    );
  }
  const password = encodeURIComponent(secrets.postgresPassword);
  return {
    DATABASE_URL: `postgresql://postgres:${password}@127.0.0.1:${ports.postgres}/billing`,
    ...(usesOwnTemporal(given) ? {} : { TEMPORAL_ADDRESS: `127.0.0.1:${ports.temporal}` }),
    ...(given.POLAR_ACCESS_TOKEN
      ? {}
      : {
          POLAR_ACCESS_TOKEN: secrets.polarAccessToken,
          POLAR_SERVER: `http://127.0.0.1:${ports.polarEmulator}`,
          POLAR_WEBHOOK_SECRET: 'whsec_bm90IHJlZ2lzdGVyZWQgeWV0', // until the emulator has made one
        }),
    ...(given.AUTH_JWKS_URL ? {} : { AUTH_JWT_SECRET: secrets.authJwtSecret }),
    SERVICE_API_KEY: secrets.serviceApiKey,
    PUBLIC_URL: `http://localhost:${port}`,
    ...given,
    PORT: String(port),
    DATA_DIR: path,
  };
}

/**
 * Starts what the environment does not already name, in order, each part waiting for the one before it.
 *
 * @throws PartFailed, or whatever kept a part from starting; what runs by then is the supervisor's to stop.
 */
export async function startStack(
  given: Variables,
  plan: Variables,
  directory: DataDirectory,
  supervisor: Supervisor,
  progress: Progress,
): Promise<void> {
  const { path, ports, secrets, logFile } = directory;
  const abort = supervisor.stopping;
  const step: Progress['step'] = (what, work) => {
    abort.throwIfAborted();
    return progress.step(what, work);
  };
  const variables = { ...plan };
  const script = (
    name: string,
    file: string,
  ): Pick<PartOptions, 'name' | 'command' | 'args' | 'logFile' | 'abort'> => ({
    name,
    command: process.execPath,
    args: [resolve(root, file)],
    logFile: logFile(name),
    abort,
  });

  if (given.DATABASE_URL) {
    await step('Postgres: yours, by DATABASE_URL', async () => {});
  } else {
    await step('Postgres 18', async (detail) => {
      const postgres = await supervisor.keep('Postgres', () =>
        startPostgres({
          dataDir: resolve(path, 'postgres'),
          logFile: logFile('postgres'),
          password: secrets.postgresPassword,
          port: ports.postgres,
          abort,
        }),
      );
      await postgres.createDatabase('billing');
      detail(`port ${postgres.port}`);
    });
  }

  if (usesOwnTemporal(given)) {
    await step(
      `Temporal: yours, by ${given.TEMPORAL_ADDRESS ? 'TEMPORAL_ADDRESS' : 'temporal.toml'}`,
      async () => {},
    );
  } else {
    await step('Temporal', async (detail) => {
      const found = await resolveTemporal('temporal', {
        onProgress: (what) => progress.say(`    ${what}`),
        abort,
      });
      await supervisor.keep('Temporal', () =>
        startTemporalServer({
          executable: found.path,
          databaseFile: resolve(path, 'temporal', 'temporal.db'),
          logFile: logFile('temporal'),
          port: ports.temporal,
          uiPort: ports.temporalUi,
          abort,
        }),
      );
      detail(`port ${ports.temporal}`);
      detail(found.from);
    });
  }

  if (given.POLAR_ACCESS_TOKEN) {
    await step(`Polar: ${given.POLAR_SERVER ?? 'production'}, by POLAR_ACCESS_TOKEN`, async () => {});
  } else {
    await step('Polar emulator', async (detail) => {
      await keepScript(supervisor, {
        ...script('polar-emulator', 'dev/polar-emulator/main.ts'),
        env: processEnvironment(variables, [], {
          EMULATOR_PORT: String(ports.polarEmulator),
          EMULATOR_DATA_DIR: resolve(path, 'polar-emulator'),
          EMULATOR_ACCESS_TOKEN: secrets.polarAccessToken,
        }),
        saysReady: true,
      });
      const polar = createPolarClient({
        accessToken: secrets.polarAccessToken,
        server: `http://127.0.0.1:${ports.polarEmulator}`,
      });
      variables.POLAR_WEBHOOK_SECRET = await registerWebhook(
        polar,
        `${variables.PUBLIC_URL}/v1/webhooks/polar`,
      );
      detail(`port ${ports.polarEmulator}`);
    });
  }

  const env = processEnvironment(variables, environmentVariables);
  await step(
    'database schema',
    async () => void (await runTask({ ...script('migrate', 'database/migrate.ts'), env })),
  );
  await step('catalog', async (detail) => {
    const lines = await runTask({ ...script('catalog', 'catalog/publish.ts'), env });
    detail(lastOf(lines));
  });
  if (!given.POLAR_ACCESS_TOKEN) {
    await step('products', async (detail) => {
      const sync = script('products', 'polar/sync.ts');
      detail(lastOf(await runTask({ ...sync, args: [...sync.args, '--apply'], env })));
    });
  }

  const toTerminal = (name: string) => (line: string) => progress.say(`${name.padEnd(6)} │ ${line}`);
  await step('worker', () =>
    keepScript(supervisor, {
      ...script('worker', 'worker/main.ts'),
      env,
      saysReady: true,
      onLine: toTerminal('worker'),
      patienceMs: 30_000,
    }),
  );
  await step('API', () =>
    keepScript(supervisor, {
      ...script('api', 'api/main.ts'),
      env,
      isReady: () => answers(`http://127.0.0.1:${variables.PORT}/healthz`),
      onLine: toTerminal('api'),
    }),
  );
  announce(variables, given, directory, progress);
}

function announce(
  variables: Variables,
  given: Variables,
  directory: DataDirectory,
  progress: Progress,
): void {
  const { path, ports } = directory;
  const shared = environmentVariables.flatMap((name) => {
    const value = variables[name];
    return value === undefined ? [] : [[name, value]];
  });
  directory.announce(Object.fromEntries(shared));
  leash().removeInTheEnd(resolve(path, 'stack.json'));
  const rows = [
    ['API', `http://localhost:${variables.PORT}`],
    ['its documentation', `http://localhost:${variables.PORT}/docs`],
    ...(usesOwnTemporal(given) ? [] : [['Temporal UI', `http://localhost:${ports.temporalUi}`]]),
    ...(given.POLAR_ACCESS_TOKEN ? [] : [['Polar emulator', `http://localhost:${ports.polarEmulator}`]]),
    ['logs', relative(process.cwd(), resolve(path, 'logs'))],
  ];
  progress.say('');
  for (const [name = '', address = ''] of rows) progress.say(`  ${name.padEnd(18)} ${address}`);
  progress.say('\nEverything is up. Try first, in another terminal: npm run demo\nCtrl-C stops all of it.\n');
}

/** Only what a process needs of what the user has set, and of what we have decided. */
function processEnvironment(variables: Variables, names: readonly string[], more: Variables = {}): Variables {
  const fromUser = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'NODE_ENV', 'LOG_LEVEL', 'NODE_EXTRA_CA_CERTS'];
  const entries = [...fromUser, ...names].flatMap((name) => {
    const value = variables[name];
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(entries), ...more };
}

async function keepScript(to: Supervisor, options: PartOptions): Promise<void> {
  await to.keep(options.name, async () => ({ part: await startPart(options) }));
}

function usesOwnTemporal(given: Variables): boolean {
  return ['TEMPORAL_ADDRESS', 'TEMPORAL_CONFIG_FILE', 'TEMPORAL_PROFILE'].some((name) => given[name]);
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

function lastOf(lines: readonly string[]): string {
  return lines.at(-1)?.trim() ?? '';
}
