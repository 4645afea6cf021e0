import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { loadCatalog } from '../catalog/load-catalog.ts';
import { publishCatalog } from '../catalog/versions.ts';
import { connectDatabase } from '../database/connection.ts';
import type { Scope } from '../database/entities/service-key.ts';
import { migrateDatabase } from '../database/migrate-database.ts';
import { freePort } from '../dev/free-port.ts';
import { leash } from '../dev/part.ts';
import { type EmbeddedPostgres, startPostgres } from '../dev/postgres.ts';
import type { Progress } from '../dev/progress.ts';
import { resolveTemporal } from '../dev/resolve-temporal.ts';
import { signToken } from '../dev/sign-token.ts';
import { startTemporalServer } from '../dev/temporal-server.ts';
import { issueServiceKey } from '../teams/service-keys.ts';
import { type Program, startProgram } from './process.ts';

/** The temporary stack on which the measures run. Each part is started when it is first needed. */
export interface Stack {
  /** Short runs that only show that everything works. Nothing is compared with the goals. */
  quick: boolean;
  progress: Progress;
  /** The directory of its data. */
  directory: string;
  /** Creates a database with the schema and a published catalog, durable as in production. Returns its URL. */
  createDatabase(): Promise<string>;
  /** The address of the one Temporal server. */
  temporal(): Promise<string>;
  /** Starts a program that is stopped with the stack at the latest. */
  start(script: string, env?: Record<string, string>): Promise<Program>;
  /** The API as in production. */
  startApi(
    databaseUrl: string,
  ): Promise<{ url: string; operationsUrl: string; serviceKey: string; program: Program }>;
  /** The worker as in production. */
  startWorker(databaseUrl: string): Promise<Program>;
  /** A token that the API accepts, as its identity provider would sign it. */
  personToken(userId: string): Promise<string>;
  postgresVersion(): Promise<string>;
  /** Errors in the programs' logs, to find out why a measure failed. */
  loggedErrors(): string[];
  stop(): Promise<void>;
}

export const webhookSecret = `whsec_${randomBytes(32).toString('base64')}`;
const root = resolve(import.meta.dirname, '..');
const catalogFile = join(root, 'catalog', 'catalog.yaml');
const template = 'bench_template';

/** In the repository instead of a temporary directory, which may be in memory: commits must reach a disk. */
export async function openStack({ quick, progress }: Pick<Stack, 'quick' | 'progress'>): Promise<Stack> {
  await mkdir(join(root, '.cache'), { recursive: true });
  const directory = await mkdtemp(join(root, '.cache', 'bench-'));
  await chmod(directory, 0o711); // as root, Postgres runs as another user
  leash().removeInTheEnd(directory);
  const programs = new Set<Program>();
  const stops: (() => Promise<void>)[] = [];
  let databases = 0;

  const postgres = once(() =>
    progress.step('Postgres 18, with fsync and synchronous_commit on', async () => {
      const started = await startPostgres({
        dataDir: join(directory, 'postgres'),
        logFile: join(directory, 'postgres.log'),
        password: randomBytes(16).toString('hex'),
        durable: true,
      });
      stops.push(() => started.part.stop());
      await prepareTemplate(started);
      return started;
    }),
  );
  const temporal = once(() =>
    progress.step('Temporal', async (detail) => {
      const found = await resolveTemporal('temporal', { onProgress: (what) => progress.say(`    ${what}`) });
      const server = await startTemporalServer({
        executable: found.path,
        logFile: join(directory, 'temporal.log'),
      });
      stops.push(() => server.part.stop());
      detail(found.from);
      return server.address;
    }),
  );

  const stack: Stack = {
    quick,
    progress,
    directory,
    temporal,
    async createDatabase() {
      const server = await postgres();
      databases += 1;
      const name = `bench_${databases}`;
      await server.createDatabase(name, template);
      return server.url(name);
    },
    async start(script, env = {}) {
      const logFile = join(directory, `${script.replaceAll('/', '-')}.log`);
      const program = await startProgram(script, { env: { NODE_ENV: 'production', ...env }, logFile });
      programs.add(program);
      return {
        ...program,
        stop: async () => {
          programs.delete(program);
          await program.stop();
        },
      };
    },
    async startApi(databaseUrl) {
      const [port, operationsPort] = [await freePort(), await freePort()];
      const serviceKey = await makeServiceKey(databaseUrl);
      const url = `http://127.0.0.1:${port}`;
      const env = {
        ...environment(databaseUrl, await temporal()),
        PORT: String(port),
        OPERATIONS_PORT: String(operationsPort),
        HOST: '127.0.0.1',
        PUBLIC_URL: url,
      };
      const operationsUrl = `http://127.0.0.1:${operationsPort}`;
      return { url, operationsUrl, serviceKey, program: await stack.start('api/main.ts', env) };
    },
    async startWorker(databaseUrl) {
      const env = {
        ...environment(databaseUrl, await temporal()),
        WORKER_OPERATIONS_PORT: String(await freePort()), // its usual one may be in use by `npm start`
      };
      return stack.start('worker/main.ts', env);
    },
    personToken: (userId) => signToken(jwtSecret, userId, '1h'),
    async postgresVersion() {
      const database = await connectDatabase((await postgres()).url(template), { pool: 1 });
      const { rows } = await database.pool.query<{ version: string }>('select version()');
      await database.close();
      return rows[0]?.version.split(' ').slice(0, 2).join(' ') ?? 'unknown';
    },
    loggedErrors() {
      const logs = readdirSync(directory).filter((file) => file.endsWith('.log'));
      const lines = logs.flatMap((file) => readFileSync(join(directory, file), 'utf8').split('\n'));
      return lines.filter((line) => /"level":[56]0|ERROR|FATAL/.test(line)).slice(-5);
    },
    async stop() {
      await Promise.all([...programs].map((program) => program.stop()));
      for (const stop of stops.reverse()) await stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return stack;
}

async function prepareTemplate(postgres: EmbeddedPostgres): Promise<void> {
  await postgres.createDatabase(template);
  await migrateDatabase(postgres.url(template), applicationUrl(postgres.url(template)));
  const database = await connectDatabase(postgres.url(template), { pool: 2 });
  await publishCatalog(database, loadCatalog(catalogFile));
  await database.close();
}

async function makeServiceKey(databaseUrl: string): Promise<string> {
  const database = await connectDatabase(databaseUrl, { pool: 1 });
  try {
    const scopes: Scope[] = ['onboarding', 'usage', 'billing', 'admin'];
    const { key } = await database.transaction((em) =>
      issueServiceKey(em, { name: 'bench', scopes, actor: 'operator:bench' }),
    );
    return key;
  } finally {
    await database.close();
  }
}

/** The same database for API and worker: they refuse the role that owns the tables. */
function applicationUrl(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.username = 'billing';
  return url.href;
}

/**
 * The variables of production. No measure calls Polar and Polar sends nothing, so no server listens at these
 * addresses.
 */
function environment(databaseUrl: string, temporalAddress: string): Record<string, string> {
  return {
    DATABASE_URL: applicationUrl(databaseUrl),
    TEMPORAL_ADDRESS: temporalAddress,
    POLAR_ACCESS_TOKEN: 'polar_oat_nobody_is_asked',
    POLAR_SERVER: 'http://127.0.0.1:1',
    POLAR_WEBHOOK_SECRET: webhookSecret,
    AUTH_JWT_SECRET: jwtSecret,
    CATALOG_FILE: catalogFile,
    PUBLIC_URL: 'http://127.0.0.1:1',
  };
}

const jwtSecret = randomBytes(32).toString('base64url');

/** Runs `start` at the first call. Every call gets its result. */
function once<T>(start: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  return () => {
    started ??= start();
    return started;
  };
}
