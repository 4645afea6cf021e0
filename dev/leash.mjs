// Ends other processes when the process that started them has ended, for any reason.
//
// The owner starts this detached, with a pipe to its stdin, and writes one line for each process that it starts:
//   {"hold": pid, "signal": "SIGINT", "patienceMs": 10000}   end this process, then its group, after the owner has ended
//   {"release": pid}                                         it has ended
//   {"remove": "/directory"}                                 delete this directory at the end
// A pipe closes when its writer ends, also by `kill -9`. Then the held processes are ended, the last one first.
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';

const held = new Map();
const directories = [];

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

for await (const line of createInterface({ input: process.stdin })) {
  const { hold, signal, patienceMs = 10_000, release, remove } = JSON.parse(line);
  if (hold) held.set(hold, { signal, patienceMs });
  if (release) held.delete(release);
  if (remove) directories.push(remove);
}

for (const [pid, { signal, patienceMs }] of [...held].reverse()) await end(pid, signal, patienceMs);
for (const directory of directories) await rm(directory, { recursive: true, force: true });

async function end(pid, signal, patienceMs) {
  send(pid, signal);
  for (let waited = 0; waited < patienceMs && isRunning(pid); waited += 50) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // A negative pid is the whole group: it includes the processes that the process itself started.
  send(-pid, 'SIGKILL');
}

/** A zombie has ended. It only waits for its parent to read its status, which in a container may never happen. */
function isRunning(pid) {
  if (!send(pid, 0)) return false;
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return process.platform !== 'linux';
  }
}

function send(pid, signal) {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
