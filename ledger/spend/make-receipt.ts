import { type PricedUsage, receiptLine } from '../../catalog/price-usage.ts';
import type { Receipt } from './operation.ts';

/**
 * The answer to a debit.
 * @param grants  the grants that paid, in the order in which they were drawn
 * @param balance  the team's spendable micro-credits afterwards
 */
export function makeReceipt(
  id: string,
  { action, priceVersion }: { action: string; priceVersion: number },
  { credits, lines }: PricedUsage,
  grants: Receipt['grants'],
  balance: bigint,
  holdId: string | null,
): Receipt {
  return {
    id,
    action,
    credits,
    lines: lines.map(receiptLine),
    grants,
    priceVersion,
    holdId,
    balance: { available: balance },
  };
}
