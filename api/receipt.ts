import { z } from 'zod';
import { decimalOut, formatCredits } from '../catalog/credits.ts';
import type { Receipt } from '../ledger/spend/operation.ts';
import { availableOut, grantShareOut } from './shapes.ts';

const receiptLineOut = z
  .strictObject({
    meter: z.string().meta({ examples: ['input_tokens'] }),
    quantity: decimalOut,
    unitPrice: decimalOut.meta({ description: 'The exact price of one unit in credits' }),
    credits: decimalOut,
  })
  .meta({ id: 'ReceiptLine' });

/** The answer to a debit: its price, and the grants that paid. */
export const receiptShape = {
  id: z.guid(),
  action: z.string().meta({ examples: ['model.gpt-5'] }),
  credits: decimalOut,
  lines: z.array(receiptLineOut),
  grants: z.array(grantShareOut).meta({ description: 'The grants that paid, in burn order' }),
  priceVersion: z.int(),
  holdId: z.guid().nullable().meta({ description: 'The captured hold; null: it was a usage' }),
  balance: availableOut,
};
export const receiptOut = z.strictObject(receiptShape).meta({ id: 'Receipt' });

/** A receipt of the ledger as JSON. */
export function receiptJson({ credits, grants, balance, ...receipt }: Receipt): z.output<typeof receiptOut> {
  return {
    ...receipt,
    credits: formatCredits(credits),
    grants: grants.map((grant) => ({ ...grant, credits: formatCredits(grant.credits) })),
    balance: { available: formatCredits(balance.available) },
  };
}
