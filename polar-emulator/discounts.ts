import { randomUUID } from 'node:crypto';
import type { Router } from 'express';
import { z } from 'zod';
import { answer, bodyOf, idOf, listOf, metadataSchema } from './answer.ts';
import { type Emulator, organizationOf } from './emulator.ts';
import { periodEnd } from './periods.ts';
import { notFound } from './polar-refusal.ts';
import type { Records, SubscriptionRecord } from './records.ts';
import { toDiscount } from './wire.ts';

const create = z.strictObject({
  metadata: metadataSchema.optional(),
  name: z.string().min(1),
  type: z.literal('percentage').optional(),
  basis_points: z.int().min(1).max(10_000),
  duration: z.enum(['once', 'forever', 'repeating']),
  duration_in_months: z.int().min(1).nullish(),
  code: z.string().nullish(),
  products: z.array(z.guid()).nullish(),
  organization_id: z.guid().nullish(),
});

/** Discounts by percentage, 100 % included. Fixed amounts are not emulated. */
export function discountRoutes(router: Router, emulator: Emulator): void {
  const find = (id: string): Records['discounts'] => {
    const discount = emulator.store.discounts.get(id);
    if (!discount) throw notFound('Discount not found.');
    return discount;
  };
  router.get(
    '/v1/discounts/',
    answer(emulator, 200, (request) =>
      listOf(request, emulator.store.discounts.all(), toDiscount, {
        filters: {},
        sorting: { created_at: ({ created_at }) => Date.parse(created_at) },
        defaultSorting: '-created_at',
      }),
    ),
  );
  router.post(
    '/v1/discounts/',
    answer(emulator, 201, (request) => {
      const body = bodyOf(create, request);
      const discount = toDiscount(
        emulator.store.discounts.put({
          id: randomUUID(),
          created_at: emulator.stamp(),
          modified_at: null,
          duration: body.duration,
          duration_in_months: body.duration_in_months ?? null,
          type: 'percentage',
          basis_points: body.basis_points,
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
        }),
      );
      emulator.emit('discount.created', discount);
      return discount;
    }),
  );
  router.get(
    '/v1/discounts/:id',
    answer(emulator, 200, (request) => toDiscount(find(idOf(request)))),
  );
  router.delete(
    '/v1/discounts/:id',
    answer(emulator, 204, (request) => {
      const discount = find(idOf(request));
      emulator.store.discounts.delete(discount.id);
      emulator.emit('discount.deleted', toDiscount(discount));
    }),
  );
}

/** Cents that a discount takes off `amount`. */
export function discountAmount(discount: Records['discounts'] | undefined, amount: number): number {
  return discount ? Math.round((amount * discount.basis_points) / 10_000) : 0;
}

/** The discount that still holds for the period that starts at `start`, and what it takes off `amount` cents. */
export function cycleDiscount(
  emulator: Emulator,
  record: SubscriptionRecord,
  start: Date,
  amount: number,
): { id: string | null; amount: number; appliedAt: string | null } {
  const discount = emulator.store.discounts.get(record.wire.discount_id ?? '');
  const appliedAt = record.discount_applied_at ?? start.toISOString();
  if (!discount || expired(discount, new Date(appliedAt), start))
    return { id: null, amount: 0, appliedAt: null };
  return { id: discount.id, amount: discountAmount(discount, amount), appliedAt };
}

function expired(discount: Records['discounts'], applied: Date, start: Date): boolean {
  if (discount.duration === 'forever') return false;
  if (discount.duration === 'once') return start > applied;
  return start >= periodEnd(applied, applied.getUTCDate(), 'month', discount.duration_in_months ?? 1);
}
