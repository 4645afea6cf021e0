import { relative, resolve } from 'node:path';
import { environmentVariables } from '../environment.ts';
import { createPolarClient } from '../polar/client.ts';
import { CannotStart, type DataDirectory } from './data-directory.ts';
import { type PartOptions, runTask, startPart } from './part.ts';
import { startPostgres } from './postgres.ts';
import type { Progress } from './progress.ts';
import { registerWebhook } from './register-webhook.ts';
import { resolveTemporal } from './resolve-temporal.ts';
import type { Supervisor } from './supervisor.ts';
import { startTemporalServer } from './temporal-server.ts';

/** Environment variables by name, without empty ones. */
export type Variables = Record<string, string>;

const root = resolve(import.meta.dirname, '..');

/** The variables of all processes. They are known before anything starts, so all of them are checked first. */
export function planVariables(
  given: Variables,
  path: string,
  { secrets, ports }: Pick<DataDirectory, 'secrets' | 'ports'>,
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
    // As in production, API and worker use a role that can change neither the schema nor history.
    DATABASE_URL: `postgresql://billing:${password}@127.0.0.1:${ports.postgres}/billing`,
    ...(given.DATABASE_URL
      ? {}
      : { DATABASE_OWNER_URL: `postgresql://postgres:${password}@127.0.0.1:${ports.postgres}/billing` }),
    ...(usesOwnTemporal(given) ? {} : { TEMPORAL_ADDRESS: `127.0.0.1:${ports.temporal}` }),
    ...(given.POLAR_ACCESS_TOKEN
      ? {}
      : {
          POLAR_ACCESS_TOKEN: secrets.polarAccessToken,
          POLAR_SERVER: `http://127.0.0.1:${ports.polarEmulator}`,
          POLAR_WEBHOOK_SECRET: 'whsec_bm90IHJlZ2lzdGVyZWQgeWV0', // until the emulator has created one
        }),
    ...(given.AUTH_JWKS_URL ? {} : { AUTH_JWT_SECRET: secrets.authJwtSecret }),
    SERVICE_API_KEY: secrets.serviceApiKey,
    WEBHOOK_SIGNING_KEY: secrets.webhookSigningKey,
    WEBHOOK_ALLOW_PRIVATE: '127.0.0.1,::1',
    ...(given.SMTP_URL
      ? {}
      : {
          SMTP_URL: `smtp://127.0.0.1:${ports.mail}`,
          MAIL_FROM: 'Waveloom Billing <billing@localhost>',
          MAIL_OPERATOR: 'operator@localhost',
        }),
    MAIL_TOKEN_SECRET: secrets.mailTokenSecret,
    PORT: '3000',
    OPERATIONS_PORT: String(ports.operations),
    WORKER_OPERATIONS_PORT: String(ports.workerOperations),
    ...given,
    DATA_DIR: path,
  };
}

/**
 * Starts the parts that the environment does not already name, in order. Each part waits for the previous one.
 *
 * @throws PartFailed, or another error that stopped the start; the supervisor then stops the running parts
 */
export async function startStack(
  given: Variables,
  plan: Variables,
  directory: DataDirectory,
  supervisor: Supervisor,
  progress: Progress,
): Promise<void> {
  const stack: Stack = { given, variables: { ...plan }, directory, supervisor, progress };
  await startDatabase(stack);
  await startTemporal(stack);
  await startPolar(stack);
  await startMail(stack);
  await prepare(stack);
  await buildPage(stack);
  await startWorker(stack);
  await startApi(stack);
  announce(stack);
}

type Stack = {
  /** The variables that the user has set. */
  given: Variables;
  /** The variables of our processes; complete after Polar is up. */
  variables: Variables;
  directory: DataDirectory;
  supervisor: Supervisor;
  progress: Progress;
};

async function startDatabase(stack: Stack): Promise<void> {
  const { given, directory, supervisor } = stack;
  if (given.DATABASE_URL) return stack.progress.say('  ✓ Postgres: yours, by DATABASE_URL');
  await step(stack, 'Postgres 18', async (detail) => {
    const postgres = await supervisor.keep('Postgres', () =>
      startPostgres({
        dataDir: resolve(directory.path, 'postgres'),
        logFile: directory.logFile('postgres'),
        password: directory.secrets.postgresPassword,
        port: directory.ports.postgres,
        abort: supervisor.stopping,
      }),
    );
    await postgres.createDatabase('billing');
    detail(`port ${postgres.port}`);
  });
}

async function startTemporal(stack: Stack): Promise<void> {
  const { given, directory, supervisor, progress } = stack;
  if (usesOwnTemporal(given)) {
    return progress.say(
      `  ✓ Temporal: yours, by ${given.TEMPORAL_ADDRESS ? 'TEMPORAL_ADDRESS' : 'temporal.toml'}`,
    );
  }
  await step(stack, 'Temporal', async (detail) => {
    const abort = supervisor.stopping;
    const onProgress = (what: string) => progress.say(`    ${what}`);
    const found = await resolveTemporal('temporal', { onProgress, abort });
    await supervisor.keep('Temporal', () =>
      startTemporalServer({
        executable: found.path,
        databaseFile: resolve(directory.path, 'temporal', 'temporal.db'),
        logFile: directory.logFile('temporal'),
        port: directory.ports.temporal,
        uiPort: directory.ports.temporalUi,
        abort,
      }),
    );
    detail(`port ${directory.ports.temporal}`);
    detail(found.from);
  });
}

async function startPolar(stack: Stack): Promise<void> {
  const { given, variables, directory, progress } = stack;
  if (given.POLAR_ACCESS_TOKEN) {
    return progress.say(`  ✓ Polar: ${given.POLAR_SERVER ?? 'production'}, by POLAR_ACCESS_TOKEN`);
  }
  await step(stack, 'Polar emulator', async (detail) => {
    const accessToken = directory.secrets.polarAccessToken;
    const port = directory.ports.polarEmulator;
    const emulator = script(stack, 'polar-emulator', 'polar-emulator/main.ts', []);
    await keepRunning(stack, {
      ...emulator,
      env: {
        ...emulator.env,
        EMULATOR_PORT: String(port),
        EMULATOR_DATA_DIR: resolve(directory.path, 'polar-emulator'),
        EMULATOR_ACCESS_TOKEN: accessToken,
        EMULATOR_LOOPBACK_WEBHOOKS: 'true',
      },
      saysReady: true,
    });
    variables.POLAR_WEBHOOK_SECRET = await registerWebhook(
      createPolarClient({ accessToken, server: `http://127.0.0.1:${port}` }),
      `${variables.PUBLIC_URL}/v1/webhooks/polar`,
    );
    detail(`port ${port}`);
  });
}

async function startMail(stack: Stack): Promise<void> {
  const { given, directory, progress } = stack;
  if (given.SMTP_URL) return progress.say('  ✓ e-mail: yours, by SMTP_URL');
  await step(stack, 'mail server', async (detail) => {
    const program = script(stack, 'mail-server', 'dev/mail-server-main.ts', []);
    await keepRunning(stack, {
      ...program,
      env: {
        ...program.env,
        MAIL_SERVER_PORT: String(directory.ports.mail),
        MAIL_SERVER_FOLDER: resolve(directory.path, 'mail'),
      },
      saysReady: true,
    });
    detail(`port ${directory.ports.mail}`);
  });
}

/** Updates the database schema, the stored catalog and the emulator's products. */
async function prepare(stack: Stack): Promise<void> {
  await step(stack, 'database schema', async () => {
    await runTask(
      script(stack, 'migrate', 'database/migrate-command.ts', ['DATABASE_URL', 'DATABASE_OWNER_URL']),
    );
  });
  await step(stack, 'catalog', async (detail) => {
    const publish = script(stack, 'catalog', 'catalog/publish-command.ts', ['DATABASE_URL', 'CATALOG_FILE']);
    detail(lastOf(await runTask(publish)));
  });
  if (stack.given.POLAR_ACCESS_TOKEN) return; // the products of a real organisation are changed by hand only
  await step(stack, 'products', async (detail) => {
    const sync = script(stack, 'products', 'polar/sync-command.ts', ['DATABASE_URL', ...polarVariables]);
    detail(lastOf(await runTask({ ...sync, args: [...sync.args, '--apply'] })));
  });
}

/** Builds web/dist if its sources have changed, in seconds. */
async function buildPage(stack: Stack): Promise<void> {
  await step(stack, 'page', async (detail) => {
    detail(lastOf(await runTask(script(stack, 'page', 'web/build/build-command.ts', []))));
  });
}

async function startWorker(stack: Stack): Promise<void> {
  const names = [
    'DATABASE_URL',
    'PUBLIC_URL',
    'HOST',
    'WORKER_OPERATIONS_PORT',
    'WEBHOOK_SIGNING_KEY',
    'WEBHOOK_ALLOW_PRIVATE',
    'SMTP_URL',
    'MAIL_FROM',
    'MAIL_OPERATOR',
    'MAIL_TOKEN_SECRET',
    ...temporalVariables(stack.variables),
    ...polarVariables,
  ];
  await step(stack, 'worker', () =>
    keepRunning(stack, {
      ...script(stack, 'worker', 'worker/main.ts', names),
      onLine: (line) => stack.progress.say(`worker │ ${line}`),
      saysReady: true,
      patienceMs: 30_000, // requests in flight are finished first
    }),
  );
}

async function startApi(stack: Stack): Promise<void> {
  const names = [...environmentVariables, ...temporalVariables(stack.variables)];
  await step(stack, 'API', () =>
    keepRunning(stack, {
      ...script(stack, 'api', 'api/main.ts', names),
      onLine: (line) => stack.progress.say(`api    │ ${line}`),
      saysReady: true,
    }),
  );
}

function announce({ given, variables, directory, progress }: Stack): void {
  const announced = [...environmentVariables, 'DATABASE_OWNER_URL', ...temporalVariables(variables)];
  directory.announce(pick(variables, announced));
  const { ports, path } = directory;
  const rows = [
    ['page: click first', `http://localhost:${variables.PORT}/dev/sign-in`],
    ['API', `http://localhost:${variables.PORT}`],
    ['its documentation', `http://localhost:${variables.PORT}/docs`],
    ['metrics', `http://localhost:${variables.OPERATIONS_PORT}/metrics`],
    ...(usesOwnTemporal(given) ? [] : [['Temporal UI', `http://localhost:${ports.temporalUi}`]]),
    ...(given.POLAR_ACCESS_TOKEN ? [] : [['Polar emulator', `http://localhost:${ports.polarEmulator}`]]),
    ...(given.SMTP_URL ? [] : [['sent e-mails', `http://localhost:${variables.PORT}/dev/mail`]]),
    ['logs', relative(process.cwd(), resolve(path, 'logs'))],
  ];
  progress.say('');
  for (const [name = '', address = ''] of rows) progress.say(`  ${name.padEnd(18)} ${address}`);
  progress.say('\nEverything is up. Next, in another terminal: npm run demo\nCtrl-C stops everything.\n');
}

async function step<T>(
  stack: Stack,
  what: string,
  work: Parameters<typeof stack.progress.step<T>>[1],
): Promise<T> {
  stack.supervisor.stopping.throwIfAborted();
  return await stack.progress.step(what, work);
}

/** One of our own programs, with only the named variables. */
function script(
  { variables, directory, supervisor }: Stack,
  name: string,
  file: string,
  names: readonly string[],
) {
  return {
    name,
    command: process.execPath,
    args: [resolve(root, file)],
    env: pick(variables, [...fromTheUser, ...names]),
    logFile: directory.logFile(name),
    abort: supervisor.stopping,
  } satisfies PartOptions;
}

async function keepRunning({ supervisor }: Stack, options: PartOptions): Promise<void> {
  await supervisor.keep(options.name, async () => ({ part: await startPart(options) }));
}

function pick(variables: Variables, names: readonly string[]): Variables {
  return Object.fromEntries(
    names.flatMap((name) => (variables[name] === undefined ? [] : [[name, variables[name]]])),
  );
}

/** Variables of the user's own environment that every process gets. */
const fromTheUser = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'NODE_ENV', 'LOG_LEVEL', 'NODE_EXTRA_CA_CERTS'];

const polarVariables = ['POLAR_ACCESS_TOKEN', 'POLAR_SERVER', 'POLAR_WEBHOOK_SECRET'];

/** Includes variables that only the SDK reads: TEMPORAL_TLS_…, TEMPORAL_PROFILE and others. */
function temporalVariables(variables: Variables): string[] {
  return Object.keys(variables).filter((name) => name.startsWith('TEMPORAL_'));
}

function usesOwnTemporal(given: Variables): boolean {
  return ['TEMPORAL_ADDRESS', 'TEMPORAL_CONFIG_FILE', 'TEMPORAL_PROFILE'].some((name) => given[name]);
}

function lastOf(lines: readonly string[]): string {
  return lines.at(-1)?.trim() ?? '';
}
