import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { leash } from './leash.ts';

/** A process of the stack: started, held on the leash, waited for, stopped. */
export type Part = {
  name: string;
  pid: number;
  /** Resolves when the process has ended, with what it said about it. */
  exited: Promise<string>;
  running(): boolean;
  /** Asks it to end, and after `patienceMs` (default: the part's) makes it. */
  stop(patienceMs?: number): Promise<void>;
};

export type PartOptions = {
  /** What people call it: `Postgres`, `worker`. */
  name: string;
  command: string;
  args: readonly string[];
  /** All that the process gets to see. */
  env: Readonly<Record<string, string>>;
  /** Everything that it writes is appended here. */
  logFile: string;
  /** Called with each line that it writes. */
  onLine?: (line: string) => void;
  stopSignal?: NodeJS.Signals;
  patienceMs?: number;
  /** Opens an IPC channel: the part says `process.send('ready')`, and `startPart` waits for it. */
  saysReady?: boolean;
  /** Asked every 50 ms until it is true. */
  isReady?: () => Promise<boolean>;
  /** How long it may take to become ready. Default: a minute. */
  readyWithinMs?: number;
  /** Only for root, who may become another user. */
  identity?: { uid: number; gid: number };
};

/**
 * Starts a process and waits until it is ready.
 *
 * @throws PartFailed with the last lines of its log when it ends or stays silent instead; it is stopped then.
 */
export async function startPart(options: PartOptions): Promise<Part> {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = createWriteStream(options.logFile, { flags: 'a', mode: 0o600 });
  const child = spawn(options.command, options.args, {
    // A session of its own: Ctrl-C in the terminal reaches the supervisor only, which stops its parts in order.
    detached: true,
    stdio: options.saysReady ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
    env: options.env,
    ...options.identity,
  });
  const { pid } = child;
  if (pid !== undefined) leash().hold(pid, options.stopSignal ?? 'SIGTERM');

  let ended: string | undefined;
  const exited = new Promise<string>((resolve) => {
    const end = (how: string) => {
      if (ended !== undefined) return;
      ended = how;
      if (pid !== undefined) leash().release(pid);
      log.end();
      resolve(how);
    };
    child.once('error', (error) => end(error.message));
    child.once('close', (code, signal) => end(signal ? `ended by ${signal}` : `exit code ${code}`));
  });
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      if (!log.writableEnded) log.write(`${line}\n`);
      options.onLine?.(line);
    });
  }

  const running = () => ended === undefined;
  const part: Part = {
    name: options.name,
    pid: pid ?? 0,
    exited,
    running,
    stop: async (patienceMs = options.patienceMs ?? 10_000) => {
      if (!running()) return;
      child.kill(options.stopSignal ?? 'SIGTERM');
      const timer = setTimeout(() => killGroup(child), patienceMs);
      await exited;
      clearTimeout(timer);
    },
  };
  try {
    await becomeReady(child, part, options);
  } catch (error) {
    await part.stop();
    throw error;
  }
  return part;
}

/** A part that could not be started: one line, and where to read more. */
export class PartFailed extends Error {
  constructor(options: PartOptions, what: string) {
    const said = lastLines(options.logFile);
    super(`${options.name} did not start (${what})${said ? `:\n${said}` : ''}\n  all of it: ${options.logFile}`);
    this.name = 'PartFailed';
  }
}

async function becomeReady(child: ChildProcess, part: Part, options: PartOptions): Promise<void> {
  let ready = !options.saysReady;
  child.on('message', (message) => {
    if (message === 'ready') ready = true;
  });
  const deadline = performance.now() + (options.readyWithinMs ?? 60_000);
  while (!(ready && (options.isReady === undefined || (await options.isReady())))) {
    if (!part.running()) throw new PartFailed(options, await part.exited);
    if (performance.now() > deadline) throw new PartFailed(options, 'it did not become ready');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  if (!part.running()) throw new PartFailed(options, await part.exited);
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended just now.
  }
}

function lastLines(file: string): string {
  try {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    return lines.slice(-5).join('\n');
  } catch {
    return '';
  }
}
