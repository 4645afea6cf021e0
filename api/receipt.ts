import { z } from 'zod';
import { decimalOut, formatCredits } from '../catalog/credits.ts';
import type { Receipt } from '../ledger/spend/operation.ts';
import { grantSourceOut } from './shapes.ts';

/** The answer to a debit: its price, line by line, and the grants that paid. */
export const receiptShape = {
  id: z.guid(),
  action: z.string(),
  credits: decimalOut,
  lines: z.array(
    z.strictObject({
      meter: z.string(),
      quantity: decimalOut,
      unitPrice: decimalOut.meta({ description: 'The exact price of one unit in credits' }),
      credits: decimalOut,
    }),
  ),
  grants: z
    .array(z.strictObject({ grantId: z.guid(), source: grantSourceOut, credits: decimalOut }))
    .meta({ description: 'Which grants paid, in burn order' }),
  priceVersion: z.int(),
  holdId: z.guid().nullable().meta({ description: 'The hold that this captured, if any' }),
  balance: z.strictObject({ available: decimalOut }),
};
export const receiptOut = z.strictObject(receiptShape).meta({ id: 'Receipt' });

/** A receipt of the ledger in the form of the API. */
export function receiptJson({ credits, grants, balance, ...receipt }: Receipt): z.output<typeof receiptOut> {
  return {
    ...receipt,
    credits: formatCredits(credits),
    grants: grants.map((grant) => ({ ...grant, credits: formatCredits(grant.credits) })),
    balance: { available: formatCredits(balance.available) },
  };
}
