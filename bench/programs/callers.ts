import { z } from 'zod';
import { runCallers } from '../interleave.ts';
import { openLedger } from '../workload.ts';
import { answerMessages } from './answer-messages.ts';

/** One of several processes whose callers debit the same team: the ledger as in an API process, without HTTP. */
const load = z.object({ callers: z.int(), seconds: z.number(), teamId: z.string() });
const ledger = await openLedger(z.string().parse(process.env.DATABASE_URL));

answerMessages(async (message) => {
  const { callers, seconds, teamId } = load.parse(message);
  let acknowledged = 0;
  const spend = async () => {
    await ledger.spend(teamId);
    acknowledged += 1;
  };
  const run = await runCallers(callers, seconds, spend);
  return { run, acknowledged };
});
