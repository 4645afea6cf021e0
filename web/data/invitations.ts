import { queryOptions } from '@tanstack/react-query';
import { billing } from './billing.ts';
import type { Schema } from './schema.ts';

/** An open invitation of the signed-in user. */
export type Invitation = Schema<'ReceivedInvitation'>;

/** The open invitations of the signed-in user, oldest first. */
export const invitationsQuery = queryOptions({
  queryKey: ['invitations'],
  queryFn: ({ signal }) =>
    Array.fromAsync(billing.list('/v1/invitations', { signal, params: { query: { limit: 100 } } })),
});

/** Both answers may be sent again: the API then returns the same. @returns the role in the team; null: declined */
export async function answerInvitation(
  { id }: Invitation,
  answer: 'accept' | 'decline',
): Promise<Schema<'Role'> | null> {
  const params = { path: { invitationId: id } };
  if (answer === 'accept')
    return (await billing.POST('/v1/invitations/{invitationId}/accept', { params })).role;
  await billing.POST('/v1/invitations/{invitationId}/decline', { params });
  return null;
}
