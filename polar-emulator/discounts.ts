import { randomUUID } from 'node:crypto';
import type { Router } from 'express';
import { z } from 'zod';
import { bodyOf, idOf, metadataSchema, routesOf } from './answer.ts';
import { type Emulator, organizationOf } from './emulator.ts';
import { periodEnd } from './periods.ts';
import type { DiscountRecord, SubscriptionRecord } from './records.ts';
import { toDiscount } from './wire.ts';

const shared = {
  metadata: metadataSchema.optional(),
  name: z.string().min(1),
  duration: z.enum(['once', 'forever', 'repeating']),
  duration_in_months: z.int().min(1).nullish(),
  code: z.string().nullish(),
  products: z.array(z.guid()).nullish(),
  organization_id: z.guid().nullish(),
};
const create = z.union([
  z.strictObject({
    ...shared,
    type: z.literal('percentage').optional(),
    basis_points: z.int().min(1).max(10_000),
  }),
  z.strictObject({
    ...shared,
    type: z.literal('fixed').optional(),
    amount: z.int().min(1),
    currency: z.literal('usd').optional(),
  }),
]);

/** Discounts by percentage (including 100 %) and by a fixed amount in cents. */
export function discountRoutes(router: Router, emulator: Emulator): void {
  const { list, get, post, remove } = routesOf(router, emulator);
  list('/v1/discounts/', {
    rows: () => emulator.store.discounts.all(),
    present: toDiscount,
    filters: {},
    sorting: { created_at: ({ created_at }) => Date.parse(created_at) },
  });
  post('/v1/discounts/', (request) => {
    const body = bodyOf(create, request);
    const discount = toDiscount(
      emulator.store.discounts.put({
        id: randomUUID(),
        created_at: emulator.stamp(),
        modified_at: null,
        duration: body.duration,
        duration_in_months: body.duration_in_months ?? null,
        metadata: body.metadata ?? {},
        name: body.name,
        code: body.code ?? null,
        starts_at: null,
        ends_at: null,
        max_redemptions: null,
        max_redemptions_per_customer: null,
        redemptions_count: 0,
        organization_id: organizationOf(emulator).id,
        product_ids: body.products ?? null,
        ...('amount' in body
          ? { type: 'fixed', amount: body.amount, currency: 'usd', amounts: { usd: body.amount } }
          : { type: 'percentage', basis_points: body.basis_points }),
      }),
    );
    emulator.emit('discount.created', discount);
    return discount;
  });
  get('/v1/discounts/:id', (request) => toDiscount(emulator.store.discounts.demand(idOf(request))));
  remove('/v1/discounts/:id', (request) => {
    const discount = emulator.store.discounts.demand(idOf(request));
    emulator.store.discounts.delete(discount.id);
    emulator.emit('discount.deleted', toDiscount(discount));
  });
}

/** The cents that a discount takes off a product's price of `amount` cents. */
export function discountAmount(
  discount: DiscountRecord | undefined,
  productId: string,
  amount: number,
): number {
  if (!discount || !isApplicable(discount, productId)) return 0;
  if (discount.type === 'fixed') return Math.min(discount.amount, amount);
  return Math.round((amount * discount.basis_points) / 10_000);
}

export function isApplicable({ product_ids }: DiscountRecord, productId: string): boolean {
  return product_ids === null || product_ids.length === 0 || product_ids.includes(productId);
}

/** The discount that applies to the period starting at `start`, and the cents it takes off the product's `amount`. */
export function cycleDiscount(
  emulator: Emulator,
  record: SubscriptionRecord,
  start: Date,
  productId: string,
  amount: number,
): { id: string | null; amount: number; appliedAt: string | null } {
  const discount = emulator.store.discounts.get(record.wire.discount_id ?? '');
  const appliedAt = record.discount_applied_at ?? start.toISOString();
  if (!discount || expired(discount, new Date(appliedAt), start))
    return { id: null, amount: 0, appliedAt: null };
  return { id: discount.id, amount: discountAmount(discount, productId, amount), appliedAt };
}

/** A repeating discount applies for `duration_in_months` months from its first period (`is_repetition_expired`). */
function expired(discount: DiscountRecord, applied: Date, start: Date): boolean {
  if (discount.duration === 'forever') return false;
  if (discount.duration === 'once') return start > applied;
  const months = (discount.duration_in_months ?? 1) - 1;
  return start > periodEnd(applied, applied.getUTCDate(), 'month', months);
}
