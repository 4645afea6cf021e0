import { NativeConnection, Worker } from '@temporalio/worker';
import { installRuntime } from '../../worker/install-runtime.ts';

/** The baseline's worker: the same SDK with the same settings, workflows and activities that do nothing. */
const activities = {
  async nothing(): Promise<void> {},
  /** Reports to the bench over IPC that a signal has become an activity. */
  async saw(number: number): Promise<void> {
    process.send?.({ saw: number });
  },
};
export type BareActivities = typeof activities;

installRuntime();
const connection = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS ?? '' });
const worker = await Worker.create({
  connection,
  taskQueue: 'bare',
  workflowsPath: new URL('./bare-workflows.ts', import.meta.url).pathname,
  activities,
});
for (const event of ['SIGTERM', 'disconnect'] as const) {
  process.once(event, () => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
  });
}
process.send?.('ready');
await worker.run();
await connection.close();
process.exit();
