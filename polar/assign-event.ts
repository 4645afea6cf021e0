import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { findProduct } from '../catalog/schema.ts';
import { readCatalog } from '../catalog/versions.ts';
import { DomainError } from '../domain-error.ts';
import {
  type Assignment,
  assignParkedEvent,
  type Decided,
  type Decider,
  findEvent,
} from '../inbox/operator-decisions.ts';
import { subjectOf } from './events.ts';

/**
 * As `assignParkedEvent`, and checks that the catalog key fits the event: a plan for a subscription and its orders, a
 * pack for any other order. Call it in a transaction.
 *
 * @throws DomainError `unknown_product`, `wrong_product`; as `assignParkedEvent`
 */
export async function assignEvent(
  em: EntityManager,
  id: string,
  assignment: Assignment,
  decider: Decider,
): Promise<Decided> {
  const { product: key } = assignment;
  if (key === null) return assignParkedEvent(em, id, assignment, decider);
  const { type, payload } = await findEvent(em, id);
  const { catalog } = await readCatalog(em);
  const product = findProduct(catalog, key);
  if (!product) throw refusal('unknown_product', `The catalog has no product ${key}`);
  const expected = expectedKind(type, payload);
  if (expected === null)
    throw refusal(
      'wrong_product',
      'Only an event of an order or a subscription has a product: assign only a team',
    );
  if (product.kind !== expected)
    throw refusal(
      'wrong_product',
      `The event needs a ${expected}, and ${key} is a ${product.kind}: assign a ${expected}`,
    );
  return assignParkedEvent(em, id, assignment, decider);
}

function expectedKind(type: string, payload: unknown): 'plan' | 'pack' | null {
  const subject = subjectOf(type);
  if (subject === 'subscription') return 'plan';
  if (subject !== 'order') return null;
  const order = ofSubscription.safeParse(payload).data?.data;
  return order?.subscription_id || order?.subscription ? 'plan' : 'pack';
}

const ofSubscription = z.object({
  data: z.object({ subscription_id: z.unknown(), subscription: z.unknown() }),
});

function refusal(code: 'unknown_product' | 'wrong_product', message: string): DomainError {
  return new DomainError(code, message);
}
