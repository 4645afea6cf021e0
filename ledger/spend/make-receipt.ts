import { type PricedUsage, receiptLine } from '../../catalog/price-usage.ts';
import type { Receipt } from './operation.ts';

/**
 * What a debit's caller is answered.
 * @param grants  which grants paid, in the order in which they did
 * @param balance  micro-credits that the team can spend afterwards
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
