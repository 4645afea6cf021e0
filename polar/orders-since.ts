import type { PolarOrder } from './events.ts';

/** Whether an order is older than the policy `ordersSince`: it is recorded and never granted. */
export function isBefore({ createdAt }: Pick<PolarOrder, 'createdAt'>, ordersSince: Date | null): boolean {
  return ordersSince !== null && createdAt < ordersSince;
}
