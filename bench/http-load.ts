import { z } from 'zod';
import type { Stack } from './stack.ts';

/** What a load sends, for how long. */
export interface HttpLoad {
  /** Servers that are loaded at once. */
  origins: string[];
  /** To each of them. */
  connections: number;
  seconds: number;
  serviceKey: string;
  teamIds: string[];
  /** Events in a batch; null: single usages. */
  batch: number | null;
}

const answerSchema = z.object({
  /** Debits that the servers answered with a receipt; anything else ends the bench. */
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
