import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { leash } from '../dev/part.ts';

/** A separate program: the API, the worker, a baseline, a load. It ends when the bench ends, for any reason. */
export interface Program {
  /** Its first message, sent when it was ready. */
  readonly ready: unknown;
  /** Sends it a message and waits for its next one. */
  ask(message: object): Promise<unknown>;
  onMessage(listener: (message: unknown) => void): void;
  stop(): Promise<void>;
}

const root = resolve(import.meta.dirname, '..');

/**
 * Starts a script of this repository and waits for its first IPC message. Its output goes directly to its log file,
 * because reading it here would take part of the measured time.
 *
 * @throws Error with the end of its log if it ends first
 */
export async function startProgram(
  script: string,
  { env, logFile, args = [] }: { env: Record<string, string>; logFile: string; args?: string[] },
): Promise<Program> {
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(process.execPath, [resolve(root, script), ...args], {
    detached: true, // Ctrl-C reaches only us
    stdio: ['ignore', log, log, 'ipc'],
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/', ...env },
  });
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) throw new Error(`${script} could not be started`);
  leash().hold(pid, 'SIGTERM');
  const ended = once(child, 'exit').then(() => leash().release(pid));

  const nextMessage = async (): Promise<unknown> => {
    const [message] = await Promise.race([
      once(child, 'message'),
      ended.then(() => Promise.reject(new Error(`${script} has ended; it said:\n${endOf(logFile)}`))),
    ]);
    return message;
  };
  return {
    ready: await nextMessage(),
    ask(message) {
      const answer = nextMessage();
      child.send(message);
      return answer;
    },
    onMessage: (listener) => void child.on('message', listener),
    stop: () => stop(child, ended),
  };
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await ended;
  clearTimeout(timer);
}

function endOf(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
}
