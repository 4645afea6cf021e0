import { readEnvironment } from '../environment.ts';
import { log } from '../log.ts';
import { runCommand } from '../run-command.ts';
import { startWorker } from './start-worker.ts';

/** The worker process: runs the teams' workflows and the relay until it is told to stop. */
await runCommand(async () => {
  const worker = await startWorker(
    readEnvironment(process.env, ['databaseUrl', 'temporal', 'polar', 'publicUrl']),
  );
  process.send?.({ ready: true });
  log.info('The worker is ready');

  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void worker.stop());
  process.once('disconnect', () => void worker.stop()); // whoever started it is gone
  await worker.stopped;
});
process.exit(); // whoever listens on the way from our parent would keep the process alive
