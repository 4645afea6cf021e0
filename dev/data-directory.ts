import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { stackFile } from '../environment.ts';
import { freePort, isFree } from './free-port.ts';
import { commandOf } from './process-command.ts';

/** The contents of DATA_DIR, readable only by their owner. */
export type DataDirectory = {
  path: string;
  secrets: z.infer<typeof secretsFile>;
  /** The same as last time if they are still free, so that bookmarks and stored URLs stay valid. */
  ports: z.infer<typeof portsFile>;
  logFile(part: string): string;
  /** Writes how other terminals can reach the running stack (see `runningStack`). */
  announce(variables: Record<string, string>): void;
  /** Releases the directory. */
  release(): void;
};

/** A reason not to start that the developer can fix, in one line. */
export class CannotStart extends Error {
  override name = 'CannotStart';
}

const secretsFile = z.object({
  postgresPassword: z.string(),
  authJwtSecret: z.string(),
  serviceApiKey: z.string(),
  polarAccessToken: z.string(),
  // Both are absent in a directory of an earlier release.
  webhookSigningKey: z.string().default(makeSigningKey),
  mailTokenSecret: z.string().default(makeSigningKey),
});

/** A port that is absent was not used by an earlier release. */
const portsFile = z.object({
  postgres: z.int().default(54_320),
  temporal: z.int().default(7233),
  temporalUi: z.int().default(8233),
  polarEmulator: z.int().default(8234),
  operations: z.int().default(9464),
  workerOperations: z.int().default(9465),
  mail: z.int().default(8235),
});

const preferredPorts = portsFile.parse({});

/**
 * Locks the directory for this process, and finds or creates its contents.
 *
 * @throws CannotStart if it is in use or cannot be written
 */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  makeWritable(path);
  const release = lock(path);
  try {
    closeToOthers(path);
    const secrets = keep(join(path, 'secrets.json'), secretsFile, makeSecrets);
    write(join(path, 'secrets.json'), secrets);
    const ports = await choosePorts(keep(join(path, 'ports.json'), portsFile, () => preferredPorts));
    write(join(path, 'ports.json'), ports);
    const stackPath = join(path, 'stack.json');
    rmSync(stackPath, { force: true }); // left behind by a killed stack
    return {
      path,
      secrets,
      ports,
      logFile: (part) => join(path, 'logs', `${part}.log`),
      announce: (variables) =>
        write(stackPath, { pid: process.pid, variables } satisfies z.infer<typeof stackFile>),
      release: () => {
        rmSync(stackPath, { force: true });
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}

function makeWritable(path: string): void {
  try {
    makeDirectory(path);
    write(join(path, 'written'), {});
    rmSync(join(path, 'written'));
  } catch (error) {
    throw new CannotStart(`DATA_DIR ${path} cannot be written: ${reasonOf(error)}`);
  }
  const { bavail, bsize } = statfsSync(path);
  const freeMegabytes = Math.floor((bavail * bsize) / 1_000_000);
  if (freeMegabytes < 300) {
    throw new CannotStart(
      `DATA_DIR ${path} has only ${freeMegabytes} MB left on its disk: 300 MB are needed`,
    );
  }
}

/** Not Node's own `recursive`, which hangs if the file system refuses (/proc) and then reports that nothing exists. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/**
 * Sets mode 0700 on a directory of an earlier release, or on one that the user created for the stack. A directory with
 * other contents, a shared one (sticky, as /tmp) or another user's keeps its mode; then only its folders become 0700.
 */
function closeToOthers(path: string): void {
  const { mode, uid } = statSync(path);
  const names = readdirSync(path);
  const isOurs = names.every(
    (name) =>
      /^((secrets|ports|stack|demo)\.json|stack\.lock|postgres)\b/.test(name) || folders.includes(name),
  );
  if (isOurs && uid === process.getuid?.() && (mode & 0o1000) === 0) chmodSync(path, 0o700);
  for (const name of folders) {
    if (names.includes(name)) chmodSync(join(path, name), 0o700);
  }
}

/** Postgres sets the mode of its own folder. */
const folders = ['logs', 'mail', 'polar-emulator', 'temporal'];

/**
 * One supervisor per directory. A lock left behind by a killed supervisor names no running process, so it is replaced.
 */
function lock(path: string): () => void {
  const file = join(path, 'stack.lock');
  const holder = Number(readText(file));
  if (holder > 0 && holder !== process.pid && commandOf(holder)?.includes('dev/start.ts')) {
    throw new CannotStart(
      `A stack is already running on ${path} (process ${holder}): stop it first, or set another DATA_DIR`,
    );
  }
  rmSync(file, { force: true });
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx', mode: 0o600 });
  } catch {
    throw new CannotStart(`Another stack is starting on ${path}`);
  }
  return () => rmSync(file, { force: true });
}

/** The contents after a first start, enough to check the user's variables before anything is written. */
export function freshContents(): Pick<DataDirectory, 'secrets' | 'ports'> {
  return { secrets: makeSecrets(), ports: preferredPorts };
}

function makeSecrets(): z.infer<typeof secretsFile> {
  const random = () => randomBytes(32).toString('base64url');
  return {
    postgresPassword: random(),
    authJwtSecret: random(),
    serviceApiKey: `wl_dev_${random()}`,
    polarAccessToken: `polar_oat_${random()}`,
    webhookSigningKey: makeSigningKey(),
    mailTokenSecret: makeSigningKey(),
  };
}

function makeSigningKey(): string {
  return randomBytes(32).toString('base64');
}

async function choosePorts(wanted: z.infer<typeof portsFile>): Promise<z.infer<typeof portsFile>> {
  const chosen = { ...wanted };
  for (const name of portsFile.keyof().options) {
    chosen[name] = (await isFree(wanted[name])) ? wanted[name] : await freePort();
  }
  return chosen;
}

/**
 * The contents of the file, or those from `make` if it does not exist. A damaged file is reported, never overwritten.
 */
function keep<T>(file: string, schema: z.ZodType<T>, make: () => T): T {
  const text = readText(file);
  if (text === undefined) {
    const made = make();
    write(file, made);
    return made;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new CannotStart(`${file} is damaged: repair it, or set another DATA_DIR`);
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Writes the file completely or not at all, readable only by its owner. */
function write(file: string, value: unknown): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function reasonOf(error: unknown): string {
  const code = typeof error === 'object' && error && 'code' in error ? String(error.code) : '';
  const reasons: Record<string, string> = {
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EROFS: 'the file system is read-only',
    ENOSPC: 'no space is left on the disk',
    EDQUOT: 'the disk quota is used up',
    ENOTDIR: 'a part of its path is a file',
    EEXIST: 'it is a file',
    ENOENT: 'no directory can be made there',
  };
  return reasons[code] ?? String(error);
}
