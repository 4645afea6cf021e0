import { once } from 'node:events';
import { relative, resolve } from 'node:path';
import { EnvironmentError, readEnvironment } from '../environment.ts';
import { CannotStart, type DataDirectory, freshContents, openDataDirectory } from './data-directory.ts';
import { isFree } from './free-port.ts';
import { showProgress } from './progress.ts';
import { planVariables, startStack, type Variables } from './stack.ts';
import { supervise } from './supervisor.ts';

/**
 * `npm start`: the whole development stack, in order, until Ctrl-C. A part whose address is in the environment is used
 * as it is. The others are started here.
 */
// Files of this process and its parts (secrets, logs, databases) are readable only by their owner.
process.umask(0o077);
const progress = showProgress();
const supervisor = supervise(progress.say);
let directory: DataDirectory | undefined;
let exitCode = 0;
stopOnSignals();

try {
  await begin();
  if (!supervisor.stopping.aborted) await once(supervisor.stopping, 'abort');
} catch (error) {
  if (!supervisor.stopping.aborted) {
    progress.say(explain(error));
    exitCode = 1;
  }
}
await supervisor.stop();
directory?.release();
if (exitCode === 0) progress.say('Everything has stopped.');
process.exit(exitCode);

async function begin(): Promise<void> {
  const given = givenVariables();
  if (given.NODE_ENV === 'production') {
    readEnvironment(given);
    throw new CannotStart(
      'npm start is for development. In production run: npm run migrate, npm run worker, npm run api',
    );
  }
  const dataDir = resolve(given.DATA_DIR ?? resolve(import.meta.dirname, '..', '.data'));
  readEnvironment(planVariables(given, dataDir, freshContents()));
  directory = await openDataDirectory(dataDir);
  const plan = planVariables(given, dataDir, directory);
  const { port, publicUrl } = readEnvironment(plan);
  if (!(await isFree(port))) {
    throw new CannotStart(`Port ${port} is in use: stop what listens on it, or set PORT to another one`);
  }

  progress.say(`Waveloom Billing starts on ${relative(process.cwd(), dataDir) || dataDir}`);
  await startStack(given, { ...plan, PUBLIC_URL: publicUrl }, directory, supervisor, progress);
}

/**
 * Ctrl-C may arrive twice at once: from the terminal, and forwarded by npm. Only a later one stops everything
 * immediately.
 */
function stopOnSignals(): void {
  let first: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      const now = performance.now();
      if (first === undefined) {
        first = now;
        progress.say('Stopping (Ctrl-C again to stop immediately)');
        supervisor.askToStop();
      } else if (now - first > 1_000) {
        progress.say('Stopping immediately');
        supervisor.hurry();
      }
    });
  }
}

function explain(error: unknown): string {
  if (error instanceof EnvironmentError || error instanceof CannotStart) return error.message;
  return `${error instanceof Error ? error.message : String(error)}\nThe parts that were started are stopped.`;
}

function givenVariables(): Variables {
  const entries = Object.entries(process.env).flatMap(([name, value]) =>
    value?.trim() ? [[name, value]] : [],
  );
  return Object.fromEntries(entries);
}
