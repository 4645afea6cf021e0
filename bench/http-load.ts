import { z } from 'zod';
import type { Stack } from './stack.ts';

/** The requests of a load, and for how long they are sent. */
export interface HttpLoad {
  /** The servers that get load at the same time. */
  origins: string[];
  /** To each of them. */
  connections: number;
  seconds: number;
  serviceKey: string;
  teamIds: string[];
  /** Events in a batch; null for single usages. */
  batch: number | null;
}

const answerSchema = z.object({
  /** The number of debits answered with a receipt. Any other answer ends the bench. */
  acknowledged: z.int(),
  /** Debits per second; p50 and p99 of the requests. */
  run: z.object({ perSecond: z.number(), p50: z.number(), p99: z.number() }),
});
export type HttpLoadAnswer = z.infer<typeof answerSchema>;

/** Starts the process that loads servers over HTTP. */
export async function startHttpLoad(stack: Stack): Promise<(load: HttpLoad) => Promise<HttpLoadAnswer>> {
  const program = await stack.start('bench/programs/http-load.ts');
  return async (load) => answerSchema.parse(await program.ask(load));
}
