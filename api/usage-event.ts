import { z } from 'zod';
import type { ListedUsageEvent } from '../ledger/read/list-usage-events.ts';
import { attributionOut, instantOut, receiptJson, receiptShape } from './shapes.ts';

export const usageEventOut = z
  .strictObject({
    ...receiptShape,
    occurredAt: instantOut,
    recordedAt: instantOut,
    ...attributionOut,
    metadata: z
      .record(z.string(), z.unknown())
      .nullable()
      .meta({ examples: [{ traceId: '4bf92f35' }] }),
  })
  .meta({ id: 'UsageEvent' });

/** A usage event of the ledger as JSON. */
export function usageEventJson({
  receipt,
  occurredAt,
  recordedAt,
  tags,
  ...event
}: ListedUsageEvent): z.output<typeof usageEventOut> {
  return {
    ...receiptJson(receipt),
    occurredAt: occurredAt.toISOString(),
    recordedAt: recordedAt.toISOString(),
    tags: tags ?? {},
    ...event,
  };
}
