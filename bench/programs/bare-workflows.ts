import { condition, defineSignal, proxyActivities, setHandler } from '@temporalio/workflow';
import type { BareActivities } from './bare-worker.ts';

const { nothing, saw } = proxyActivities<BareActivities>({ startToCloseTimeout: '10 seconds' });

/** One activity and its result: the minimum of a workflow. */
export async function bareActivity(): Promise<void> {
  await nothing();
}

export const bareSignal = defineSignal<[number]>('bareSignal');

/** Runs one activity for each signal, until it is terminated. */
export async function bareSignals(): Promise<void> {
  const queue: number[] = [];
  setHandler(bareSignal, (number) => void queue.push(number));
  while (true) {
    await condition(() => queue.length > 0);
    const number = queue.shift();
    if (number !== undefined) await saw(number);
  }
}
