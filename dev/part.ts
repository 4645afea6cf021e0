import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

const readyWithinMs = 60_000;

/** A process of the stack: started, held on the leash, waited for, stopped. */
export type Part = {
  pid: number;
  /** Resolves when the process has ended, with its exit code or signal. */
  exited: Promise<string>;
  running(): boolean;
  /** Asks it to end, and kills it after `patienceMs` (default: the part's). */
  stop(patienceMs?: number): Promise<void>;
};

export type PartOptions = {
  /** Its name in messages: `Postgres`, `worker`. */
  name: string;
  command: string;
  args: readonly string[];
  /** The complete environment of the process. */
  env: Readonly<Record<string, string>>;
  cwd?: string | undefined;
  /** All its output is appended to this file. */
  logFile?: string;
  /** Called with each line of its output. */
  onLine?: (line: string) => void;
  stopSignal?: NodeJS.Signals;
  patienceMs?: number;
  /** Whether it reports that it is ready: `process.send?.({ ready: true })`, over the IPC channel that this opens. */
  saysReady?: boolean;
  /** Polled every 50 ms until it is true. */
  isReady?: () => Promise<boolean>;
  /** Only for root, who may become another user. */
  identity?: { uid: number; gid: number };
  /** Stops waiting, and stops the process. */
  abort?: AbortSignal | undefined;
};

/**
 * Starts a process and waits until it is ready.
 *
 * @throws PartFailed with the last lines of its log if it ends or does not become ready; then it is stopped
 */
export async function startPart(options: PartOptions): Promise<Part> {
  const log = openLog(options.logFile);
  const held = leash(); // before the process: if we are killed in between, nothing would end it
  const child = spawn(options.command, options.args, {
    // Its own session: Ctrl-C in the terminal reaches only the supervisor, which stops its parts in order.
    detached: true,
    stdio: options.saysReady ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
    env: options.env,
    cwd: options.cwd,
    ...options.identity,
  });
  const { pid } = child;
  const lastLines: string[] = [];
  let saidReady = !options.saysReady;
  child.on('message', (message) => {
    saidReady ||= typeof message === 'object' && 'ready' in message && message.ready === true;
  });
  if (pid !== undefined) held.hold(pid, options.stopSignal ?? 'SIGTERM', options.patienceMs);

  let ended: string | undefined;
  const exited = new Promise<string>((resolve) => {
    const end = (how: string) => {
      if (ended !== undefined) return;
      ended = how;
      if (pid !== undefined) held.release(pid);
      log?.end();
      resolve(how);
    };
    child.once('error', (error) => end(error.message));
    child.once('exit', () => killGroup(child)); // also ends what it had started
    child.once('close', (code, signal) => end(signal ? `ended by ${signal}` : `exit code ${code}`));
  });
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      if (log?.writableEnded === false) log.write(`${line}\n`);
      if (lastLines.push(line) > 5) lastLines.shift();
      options.onLine?.(line);
    });
  }

  const running = () => ended === undefined;
  const part: Part = {
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
  const failure = await becomeReady(part, options, () => saidReady).catch((error: Error) => error.message);
  if (failure === undefined) return part;
  await part.stop();
  throw new PartFailed(options, failure, lastLines);
}

/** Runs a process to its end. Returns its output lines. @throws PartFailed if its exit code is not 0 */
export async function runTask(options: PartOptions): Promise<string[]> {
  const lines: string[] = [];
  const onLine = (line: string) => {
    lines.push(line);
    options.onLine?.(line);
  };
  const part = await startPart({ ...options, onLine });
  const stop = () => void part.stop();
  options.abort?.addEventListener('abort', stop, { once: true });
  const how = await part.exited;
  options.abort?.removeEventListener('abort', stop);
  if (how !== 'exit code 0') throw new PartFailed(options, how, lines.slice(-5));
  return lines;
}

/** A part or a task that failed: why, its last lines, and where its log is. */
export class PartFailed extends Error {
  constructor({ name, logFile }: PartOptions, what: string, lastLines: readonly string[]) {
    const said = lastLines.map((line) => `\n    ${line}`).join('');
    const more = logFile === undefined ? '' : `\n  its complete log is ${logFile}`;
    super(`${name} failed (${what})${said && `; it said:${said}`}${more}`);
    this.name = 'PartFailed';
  }
}

async function becomeReady(
  part: Part,
  options: PartOptions,
  saidReady: () => boolean,
): Promise<string | undefined> {
  const deadline = performance.now() + readyWithinMs;
  while (part.running()) {
    if (options.abort?.aborted) return 'interrupted';
    if (saidReady() && (options.isReady === undefined || (await options.isReady()))) return undefined;
    if (performance.now() > deadline) return 'it did not become ready';
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return await part.exited;
}

function openLog(file: string | undefined): WriteStream | undefined {
  if (file === undefined) return undefined;
  mkdirSync(dirname(file), { recursive: true });
  const log = createWriteStream(file, { flags: 'a', mode: 0o600 });
  log.on('error', () => {}); // a full disk must not end the supervisor, which must stop the others
  return log;
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

type Leash = {
  /** From now on this process ends when ours ends, however it ends: it gets `signal`, and later SIGKILL. */
  hold(pid: number, signal: NodeJS.Signals, patienceMs?: number): void;
  release(pid: number): void;
  /** Deletes a directory after our process and all held processes have ended. */
  removeInTheEnd(directory: string): void;
  /** Called if the leash process itself was killed: then no process is held any more. */
  onBroken(listener: () => void): void;
};

/**
 * A process that outlives ours long enough to end what ours started (see leash.mjs). It has its own session, so that
 * neither Ctrl-C nor a closing terminal reaches it.
 */
export function leash(): Leash {
  theLeash ??= startLeash();
  return theLeash;
}

let theLeash: Leash | undefined;

function startLeash(): Leash {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'leash.mjs')], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: {},
  });
  child.unref();
  const { stdin } = child;
  // It does not keep our process running. A broken pipe is reported by `exit`.
  if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref();
  stdin.on('error', () => {});
  const tell = (line: object) => void stdin.write(`${JSON.stringify(line)}\n`);
  return {
    hold: (pid, signal, patienceMs) => tell({ hold: pid, signal, patienceMs }),
    release: (pid) => tell({ release: pid }),
    removeInTheEnd: (directory) => tell({ remove: directory }),
    onBroken: (listener) => void child.on('exit', listener),
  };
}
