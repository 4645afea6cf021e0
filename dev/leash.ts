import { spawn } from 'node:child_process';
import { join } from 'node:path';

export type Leash = {
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
