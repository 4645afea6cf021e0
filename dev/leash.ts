import { spawn } from 'node:child_process';
import { join } from 'node:path';

export type Leash = {
  /** From now on this process ends when we do, however we go: it gets `signal`, and later SIGKILL. */
  hold(pid: number, signal: NodeJS.Signals, patienceMs?: number): void;
  release(pid: number): void;
  /** Throws a directory away when we are gone and all that was held has ended. */
  removeInTheEnd(directory: string): void;
  /** Called when the leash itself was ended by somebody: nothing would be held any more. */
  onBroken(listener: () => void): void;
};

/**
 * The one process that outlives us long enough to end what we started (see leash.mjs). It is in a session of
 * its own, so that neither Ctrl-C nor a closing terminal reaches it.
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
  // It never keeps us alive, and a broken pipe is reported by `exit`.
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
