import { z } from 'zod';
import { createBillingClient, createMeter } from '../../client/index.ts';
import { runCallers } from '../interleave.ts';
import { pickFrom, usage } from '../workload.ts';
import { answerMessages } from './answer-messages.ts';

/** A service's process: its callers spend through one meter of the client, over HTTP. Or one by one, each with its own request. */
const load = z.object({
  origin: z.string(),
  serviceKey: z.string(),
  teamIds: z.array(z.string()),
  callers: z.int(),
  seconds: z.number(),
  through: z.enum(['meter', 'single requests']),
});

answerMessages((message) => run(load.parse(message)));

async function run({ origin, serviceKey, teamIds, callers, seconds, through }: z.output<typeof load>) {
  const billing = createBillingClient({ baseUrl: origin, credentials: { serviceKey } });
  const meter = createMeter(billing);
  let acknowledged = 0;
  const spend = async () => {
    const teamId = pickFrom(teamIds);
    if (through === 'meter') await meter.spend({ teamId, ...usage });
    else await billing.POST('/v1/teams/{teamId}/usage', { params: { path: { teamId } }, body: usage });
    acknowledged += 1;
  };
  const result = await runCallers(callers, seconds, spend);
  await meter.close();
  return { run: result, acknowledged };
}
