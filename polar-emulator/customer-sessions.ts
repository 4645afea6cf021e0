import { randomBytes, randomUUID } from 'node:crypto';
import type { models } from '@polar-sh/sdk/2026-10';
import type { Router } from 'express';
import { z } from 'zod';
import { bodyOf, routesOf } from './answer.ts';
import type { Emulator } from './emulator.ts';
import { membersOf } from './members.ts';
import { invalid } from './polar-refusal.ts';
import type { Records } from './records.ts';
import { toCustomer } from './wire.ts';

const hourMs = 60 * 60 * 1000;
const shared = {
  member_id: z.guid().nullish(),
  external_member_id: z.string().nullish(),
  return_url: z.url().nullish(),
};
const create = z.union([
  z.strictObject({ ...shared, customer_id: z.guid() }),
  z.strictObject({ ...shared, external_customer_id: z.string() }),
]);

/** Customer sessions: a link to the portal, valid for one hour. A session of a team customer needs a member. */
export function customerSessionRoutes(router: Router, emulator: Emulator): void {
  const { post } = routesOf(router, emulator);
  post('/v1/customer-sessions/', (request) => createSession(emulator, bodyOf(create, request)));
}

/** The session of a portal link; undefined if there is none or it has expired. */
export function sessionOf(emulator: Emulator, token: unknown): Records['sessions'] | undefined {
  const session = emulator.store.sessions.all().find((candidate) => candidate.token === token);
  return session && Date.parse(session.expires_at) > emulator.now().getTime() ? session : undefined;
}

function createSession(emulator: Emulator, body: z.infer<typeof create>): models.CustomerSession {
  const named = 'customer_id' in body;
  const customer = named
    ? emulator.store.customers.get(body.customer_id)
    : emulator.store.customers.all().find(({ wire }) => wire.external_id === body.external_customer_id);
  if (!customer || customer.wire.deleted_at !== null) {
    throw invalid(
      ['body', named ? 'customer_id' : 'external_customer_id'],
      'Customer does not exist.',
      named ? body.customer_id : body.external_customer_id,
    );
  }
  const members = membersOf(emulator, customer.id);
  const asked = body.member_id ?? body.external_member_id ?? null;
  const member =
    asked === null
      ? members.find(({ role }) => role === 'owner' && customer.wire.type === 'individual')
      : members.find(({ id, external_id }) => id === body.member_id || external_id === asked);
  if (!member && (asked !== null || customer.wire.type === 'team')) {
    const msg =
      asked === null
        ? 'member_id is required for team customers.'
        : 'Member does not exist for this customer.';
    throw invalid(['body', body.external_member_id ? 'external_member_id' : 'member_id'], msg, asked);
  }
  const token = `polar_${member ? 'mst' : 'cst'}_${randomBytes(24).toString('base64url')}`;
  const session = emulator.store.sessions.put({
    id: randomUUID(),
    token,
    customer_id: customer.id,
    member_id: member?.id ?? null,
    return_url: body.return_url ?? null,
    expires_at: new Date(emulator.now().getTime() + hourMs).toISOString(),
  });
  return {
    created_at: emulator.stamp(),
    modified_at: null,
    id: session.id,
    token,
    expires_at: session.expires_at,
    return_url: session.return_url,
    customer_portal_url: `${emulator.url}/portal?${new URLSearchParams({ customer_session_token: token })}`,
    customer_id: customer.id,
    customer: toCustomer(emulator.store.customers.demand(customer.id).wire),
  };
}
