import { z } from 'zod';
import { decimalOut, formatCredits } from '../catalog/credits.ts';
import type { ReadHold } from '../ledger/read/list-holds.ts';
import { attributionOut, instantOut, teamIdSchema } from './shapes.ts';

export const holdDetailsOut = z
  .strictObject({
    id: z.guid(),
    teamId: teamIdSchema,
    action: z.string().meta({ examples: ['model.gpt-5'] }),
    status: z.enum(['open', 'captured', 'released', 'lapsed']),
    credits: decimalOut.meta({ description: 'Credits that the hold sets aside' }),
    ...attributionOut,
    createdAt: instantOut,
    expiresAt: instantOut,
  })
  .meta({ id: 'HoldDetails' });

/** The current state of a hold as JSON. */
export function holdDetailsJson(hold: ReadHold): z.output<typeof holdDetailsOut> {
  const { id, teamId, action, status, memberId, apiKeyId, runId, stepId, tags } = hold;
  return {
    id,
    teamId,
    action,
    status,
    credits: formatCredits(hold.credits),
    memberId,
    apiKeyId,
    runId,
    stepId,
    tags: tags ?? {},
    createdAt: hold.createdAt.toISOString(),
    expiresAt: hold.expiresAt.toISOString(),
  };
}
