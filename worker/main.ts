import { readEnvironment } from '../environment.ts';
import { log } from '../log.ts';
import { endWithin, runCommand } from '../run-command.ts';
import { startOperationsServer } from './operations-server.ts';
import { startWorker } from './start-worker.ts';

/** The process ends this long after SIGTERM, before its supervisor kills it (30 s in compose). */
const graceMs = 25_000;

/** The worker process: runs the teams' workflows and the relay until SIGTERM. */
await runCommand(async () => {
  const environment = readEnvironment(process.env, [
    'databaseUrl',
    'temporal',
    'polar',
    'webhooks',
    'email',
    'publicUrl',
    'host',
    'workerOperationsPort',
    'production',
  ]);
  const operationsPort = await startOperationsServer(environment);
  const worker = await startWorker(environment);
  process.send?.({ ready: true });
  log.info({ operationsPort }, 'The worker is ready');

  const stop = () => {
    endWithin(graceMs);
    void worker.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  process.once('disconnect', stop); // the parent process has ended
  await worker.stopped;
});
process.exit(); // the IPC channel to the parent would keep the process running
