import { Context } from '@temporalio/activity';

const heartbeatPauseMs = 5_000;

/** A long activity, in small steps. `onProgress` stores its progress for the next heartbeat. */
export type LongWork<T> = (signal: AbortSignal, onProgress: (progress: unknown) => void) => Promise<T>;

/** Reports the progress to the server every few seconds, and stops if the workflow was cancelled. */
export async function heartbeating<T>(work: LongWork<T>): Promise<T> {
  const context = Context.current();
  let progress: unknown;
  const timer = setInterval(() => context.heartbeat(progress), heartbeatPauseMs);
  try {
    return await work(context.cancellationSignal, (latest) => {
      progress = latest;
    });
  } finally {
    clearInterval(timer);
  }
}
