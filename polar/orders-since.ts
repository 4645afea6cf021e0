import type { PolarOrder } from './events.ts';

/** Whether an order is older than this product's connection to Polar (policy `ordersSince`): it is recorded, never granted. */
export function isBefore({ createdAt }: Pick<PolarOrder, 'createdAt'>, ordersSince: Date | null): boolean {
  return ordersSince !== null && createdAt < ordersSince;
}
