import { randomUUID } from 'node:crypto';
import type { models } from '@polar-sh/sdk/2026-10';
import type { Request, Router } from 'express';
import { z } from 'zod';
import { bodyOf, idOf, oneOf, parameterOf, routesOf } from './answer.ts';
import { requireDeliverable } from './email-domains.ts';
import type { Emulator } from './emulator.ts';
import { customerByExternalId, customerById } from './find-customer.ts';
import { invalid, notFound, refusal } from './polar-refusal.ts';

const role = z.enum(['owner', 'billing_manager', 'member']);
const create = z.strictObject({
  email: z.email(),
  name: z.string().max(256).nullish(),
  external_id: z.string().nullish(),
  role: z.enum(['billing_manager', 'member']).optional(),
});
const update = z.strictObject({
  name: z.string().max(256).nullish(),
  email: z.email().nullish(),
  role: role.nullish(),
});

/** The members of a customer. A customer always has exactly one owner. */
export function memberRoutes(router: Router, emulator: Emulator): void {
  const { list, get, post, patch, remove } = routesOf(router, emulator);
  const { store } = emulator;
  const scopes = [
    {
      path: '/v1/customers/external/:external_id/members',
      one: ':member_external_id',
      customerOf: (request: Request) => customerByExternalId(emulator, parameterOf(request, 'external_id')),
      matches: (request: Request, member: models.Member) =>
        member.external_id === parameterOf(request, 'member_external_id'),
    },
    {
      path: '/v1/customers/:id/members',
      one: ':member_id',
      customerOf: (request: Request) => customerById(emulator, idOf(request)),
      matches: (request: Request, member: models.Member) => member.id === idOf(request, 'member_id'),
    },
  ];
  for (const { path, one, customerOf, matches } of scopes) {
    const find = (request: Request) => {
      const found = membersOf(emulator, customerOf(request).id).find((member) => matches(request, member));
      if (!found) throw notFound('Member not found.');
      return found;
    };
    list(path, {
      rows: (request) => membersOf(emulator, customerOf(request).id),
      present: (member) => member,
      filters: { role: oneOf((member) => member.role) },
      sorting: { created_at: ({ created_at }) => Date.parse(created_at) },
    });
    post(path, (request) => {
      const customer = customerOf(request);
      if (customer.wire.type !== 'team') {
        throw refusal('NotPermitted', 'Only team customers can have more than one member.');
      }
      const body = bodyOf(create, request);
      requireDeliverable(emulator, ['body', 'email'], body.email);
      return addMember(emulator, customer.id, body);
    });
    get(`${path}/${one}`, find);
    patch(`${path}/${one}`, (request) => changeMember(emulator, find(request), bodyOf(update, request)));
    remove(`${path}/${one}`, (request) => {
      const member = find(request);
      if (member.role === 'owner') {
        throw invalid(['body'], 'Cannot delete the only owner. Transfer ownership first.', member.id);
      }
      store.members.delete(member.id);
      emulator.emit('member.deleted', { ...member, modified_at: emulator.stamp() });
    });
  }
}

export function membersOf(emulator: Emulator, customerId: string): models.Member[] {
  return emulator.store.members.all().filter(({ customer_id }) => customer_id === customerId);
}

/**
 * Creates a member. For a known e-mail the answer is the existing member, whatever else was given. A known external id
 * with another e-mail is an error that Polar does not handle: it answers 500.
 */
export function addMember(
  emulator: Emulator,
  customerId: string,
  given: Omit<z.infer<typeof create>, 'role'> & { role?: models.MemberRole | undefined },
): models.Member {
  const siblings = membersOf(emulator, customerId);
  const known = siblings.find(({ email }) => email.toLowerCase() === given.email.toLowerCase());
  if (known) return known;
  if (given.external_id && siblings.some(({ external_id }) => external_id === given.external_id)) {
    throw new Error(`two members of ${customerId} with the external id ${given.external_id}`);
  }
  const member: models.Member = {
    id: randomUUID(),
    created_at: emulator.stamp(),
    modified_at: null,
    customer_id: customerId,
    email: given.email,
    name: given.name ?? null,
    external_id: given.external_id ?? null,
    role: given.role ?? 'member',
  };
  emulator.store.members.put(member);
  emulator.emit('member.created', member);
  return member;
}

/** Changes a member. A new owner takes the role over, and the old owner becomes a billing manager, without an event. */
function changeMember(
  emulator: Emulator,
  member: models.Member,
  body: z.infer<typeof update>,
): models.Member {
  const role = body.role ?? member.role;
  if (member.role === 'owner' && role !== 'owner') {
    throw invalid(['body', 'role'], 'Cannot change role. Customer must have exactly one owner.', role);
  }
  if (member.role !== 'owner' && role === 'owner') {
    const owner = membersOf(emulator, member.customer_id).find((other) => other.role === 'owner');
    if (owner)
      emulator.store.members.put({ ...owner, role: 'billing_manager', modified_at: emulator.stamp() });
  }
  return save(emulator, {
    ...member,
    role,
    name: body.name === undefined ? member.name : body.name,
    email: body.email ?? member.email,
  });
}

function save(emulator: Emulator, member: models.Member): models.Member {
  const changed = { ...member, modified_at: emulator.stamp() };
  emulator.store.members.put(changed);
  emulator.emit('member.updated', changed);
  return changed;
}
