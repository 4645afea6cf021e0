import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { Role } from './member.ts';

/**
 * `open` until the invited user accepts or declines it, or the team revokes it. It expires without a change of its
 * status.
 */
const invitationStatuses = ['open', 'accepted', 'declined', 'revoked'] as const;
export type InvitationStatus = (typeof invitationStatuses)[number];

/** An offer of a role in a team, to a user id or an e-mail, which we may not know. A settled one stores no e-mail. */
export const Invitation = defineEntity({
  name: 'Invitation',
  tableName: 'invitations',
  properties: {
    id: p.uuid().primary(),
    teamId: p.uuid(),
    /** The invited user. After it is accepted or declined: the user who did that. */
    userId: p.text().strictNullable(),
    email: p.text().strictNullable(),
    role: p.text().$type<Role>(),
    /** The sender, as `nameActor` writes it. */
    invitedBy: p.text(),
    status: p.text().$type<InvitationStatus>(),
    createdAt: p.datetime(),
    expiresAt: p.datetime(),
  },
});

export type Invitation = InferEntity<typeof Invitation>;
