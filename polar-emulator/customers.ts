import { randomUUID } from 'node:crypto';
import type { models } from '@polar-sh/sdk/2026-10';
import type { Request, Router } from 'express';
import { z } from 'zod';
import { bodyOf, idOf, metadataSchema, oneOf, parameterOf, routesOf } from './answer.ts';
import { requireDeliverable } from './email-domains.ts';
import { type Emulator, organizationOf } from './emulator.ts';
import { customerByExternalId, customerById, emitStateChange, livingCustomers } from './find-customer.ts';
import { addMember, membersOf } from './members.ts';
import { invalid, malformed } from './polar-refusal.ts';
import type { CustomerRecord } from './records.ts';
import { revokeSubscription } from './subscriptions.ts';
import { isBillable, toCustomer, toCustomerState } from './wire.ts';

const email = z.email();
const name = z
  .string()
  .max(256)
  .refine((text) => !text.includes('\0'), 'Value error, This value contains invalid characters');
export const address = z.strictObject({
  line1: z.string().nullish(),
  line2: z.string().nullish(),
  postal_code: z.string().nullish(),
  city: z.string().nullish(),
  state: z.string().nullish(),
  country: z.string().regex(/^[A-Z]{2}$/),
});
export type BillingAddress = z.infer<typeof address>;
const shared = {
  metadata: metadataSchema.optional(),
  name: name.nullish(),
  locale: z.string().nullish(),
};
const owner = z.strictObject({
  email,
  name: name.nullish(),
  external_id: z.string().nullish(),
});
const create = {
  team: z.strictObject({
    ...shared,
    type: z.literal('team'),
    external_id: z.string().nullish(),
    email: email.nullish(),
    owner: owner.nullish(),
    organization_id: z.guid().nullish(),
  }),
  individual: z.strictObject({
    ...shared,
    type: z.literal('individual').optional(),
    external_id: z.string().nullish(),
    email,
    owner: owner.nullish(),
    organization_id: z.guid().nullish(),
  }),
};
type NewCustomer = z.infer<(typeof create)['team' | 'individual']>;
const update = z.strictObject({
  ...shared,
  email: email.nullish(),
  external_id: z.string().nullish(),
  type: z.enum(['individual', 'team']).nullish(),
  billing_address: address.nullish(),
});

/** Customers. `external_id` and e-mail are unique. `external_id` cannot be changed after it is set. */
export function customerRoutes(router: Router, emulator: Emulator): void {
  const { list, get, post, patch, remove } = routesOf(router, emulator);
  const byId = (request: Request) => customerById(emulator, idOf(request));
  const byExternalId = (request: Request) =>
    customerByExternalId(emulator, parameterOf(request, 'external_id'));
  list('/v1/customers/', {
    rows: () => livingCustomers(emulator),
    present: ({ wire }) => toCustomer(wire),
    filters: {
      email: oneOf(({ wire }) => wire.email),
      query: ({ wire }, [text]) =>
        [wire.email, wire.name, wire.external_id].some((field) => field?.includes(text ?? '')),
    },
    sorting: {
      created_at: ({ wire }) => Date.parse(wire.created_at),
      email: ({ wire }) => wire.email ?? null,
      name: ({ wire }) => wire.name,
    },
    metadata: ({ wire }) => wire.metadata,
  });
  post('/v1/customers/', (request) => toCustomer(createCustomer(emulator, newCustomer(emulator, request))));
  for (const [path, find] of [
    ['/v1/customers/external/:external_id', byExternalId],
    ['/v1/customers/:id', byId],
  ] as const) {
    get(`${path}/state`, (request) => toCustomerState(emulator, find(request).wire));
    get(path, (request) => toCustomer(find(request).wire));
    patch(path, (request) => toCustomer(updateCustomer(emulator, find(request), bodyOf(update, request))));
    remove(path, (request) => deleteCustomer(emulator, find(request)));
  }
}

function newCustomer(emulator: Emulator, request: Request): NewCustomer {
  const type = request.body?.type === 'team' ? 'team' : 'individual';
  const body = bodyOf<NewCustomer>(create[type], request, (path) => [type, ...path]);
  requireDeliverable(emulator, ['body', type, 'email'], body.email);
  requireDeliverable(emulator, ['body', type, 'owner', 'email'], body.owner?.email);
  if (body.type === 'team' && !body.email && !body.owner) {
    const msg =
      'Value error, An owner with an email address is required when creating a team customer without an email.';
    throw malformed([{ type: 'value_error', loc: ['body', type], msg, input: request.body }]);
  }
  return body;
}

/** Creates a customer. The owner of a team customer, or the individual, becomes its first member. */
export function createCustomer(emulator: Emulator, body: NewCustomer): models.OrderCustomer {
  requireFree(emulator, 'external_id', body.external_id);
  requireFree(emulator, 'email', body.email);
  const id = randomUUID();
  const wire: models.OrderCustomer = {
    id,
    created_at: emulator.stamp(),
    modified_at: null,
    metadata: body.metadata ?? {},
    external_id: body.external_id ?? null,
    email: body.email ?? null,
    email_verified: false,
    type: body.type ?? 'individual',
    name: body.name ?? null,
    billing_name: body.name ?? null,
    billing_address: null,
    tax_id: null,
    locale: body.locale ?? 'en',
    organization_id: organizationOf(emulator).id,
    default_payment_method_id: null,
    deleted_at: null,
    first_user_event_at: null,
    avatar_url: `${emulator.url}/avatars/${id}`,
  };
  emulator.store.customers.put({ id, wire, card_declines: false, balance: 0 });
  emulator.emit('customer.created', toCustomer(wire));
  const first = body.owner ?? (body.email ? { email: body.email, name: body.name } : undefined);
  if (first) addMember(emulator, id, { ...first, role: 'owner' });
  emitStateChange(emulator, id);
  return wire;
}

function updateCustomer(
  emulator: Emulator,
  customer: CustomerRecord,
  body: z.infer<typeof update>,
): models.OrderCustomer {
  const { wire } = customer;
  if (body.external_id !== undefined && body.external_id !== wire.external_id) {
    if (wire.external_id !== null) {
      throw invalid(['body', 'external_id'], 'Customer external ID cannot be updated.', body.external_id);
    }
    requireFree(emulator, 'external_id', body.external_id);
  }
  if (body.email && body.email !== wire.email) requireFree(emulator, 'email', body.email);
  const changed: models.OrderCustomer = {
    ...wire,
    modified_at: emulator.stamp(),
    metadata: body.metadata ?? wire.metadata,
    name: body.name === undefined ? wire.name : body.name,
    billing_name: wire.billing_name ?? body.name ?? null,
    billing_address: body.billing_address ? filled(body.billing_address) : wire.billing_address,
    email: body.email ?? wire.email ?? null,
    external_id: body.external_id ?? wire.external_id ?? null,
    type: body.type ?? wire.type,
    locale: body.locale ?? wire.locale ?? null,
  };
  emulator.store.customers.put({ ...customer, wire: changed });
  emulator.emit('customer.updated', toCustomer(changed));
  return changed;
}

/**
 * Erases the customer's and its members' personal data, keeps the history, and then ends its billable subscriptions. A
 * paused subscription stays, because Polar ends billable ones only.
 */
function deleteCustomer(emulator: Emulator, customer: CustomerRecord): void {
  for (const member of membersOf(emulator, customer.id)) {
    emulator.store.members.delete(member.id);
    emulator.emit('member.deleted', member);
  }
  const deleted_at = emulator.stamp();
  const wire = {
    ...customer.wire,
    external_id: null,
    email: null,
    avatar_url: null,
    deleted_at,
    modified_at: deleted_at,
  };
  emulator.store.customers.put({ ...customer, wire });
  emulator.emit('customer.deleted', toCustomer(wire));
  emitStateChange(emulator, customer.id);
  for (const { id, wire: subscription } of emulator.store.subscriptions.all()) {
    if (subscription.customer_id === customer.id && isBillable(subscription.status)) {
      revokeSubscription(emulator, id);
    }
  }
}

/** Stores the payer's input at a checkout on the customer. */
export function saveBillingAddress(emulator: Emulator, id: string, given: BillingAddress): void {
  const customer = customerById(emulator, id);
  const { wire } = customer;
  emulator.store.customers.put({
    ...customer,
    wire: {
      ...wire,
      modified_at: emulator.stamp(),
      billing_name: wire.billing_name ?? wire.name,
      billing_address: filled(given),
    },
  });
}

/** An address as Polar shows it: missing fields are null. */
export function filled(given: BillingAddress): models.Address {
  const { line1, line2, postal_code, city, state, country } = given;
  return {
    line1: line1 ?? null,
    line2: line2 ?? null,
    postal_code: postal_code ?? null,
    city: city ?? null,
    state: state ?? null,
    // The schema has checked that it has two letters. The SDK's type lists the existing countries.
    country: country as models.Address['country'],
  };
}

function requireFree(
  emulator: Emulator,
  field: 'external_id' | 'email',
  value: string | null | undefined,
): void {
  if (value === null || value === undefined) return;
  const taken = livingCustomers(emulator).some(
    ({ wire }) => wire[field]?.toLowerCase() === value.toLowerCase(),
  );
  if (!taken) return;
  const what = field === 'email' ? 'email address' : 'external ID';
  throw invalid(['body', field], `A customer with this ${what} already exists.`, value);
}
