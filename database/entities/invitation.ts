import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { Role } from './member.ts';

/** `open` until the invited user accepts or declines it, or the team revokes it. It expires by its time alone. */
const invitationStatuses = ['open', 'accepted', 'declined', 'revoked'] as const;
export type InvitationStatus = (typeof invitationStatuses)[number];

/** An offer of a role in a team, to a user id or an e-mail, known to us or not. A settled one keeps no e-mail. */
export const Invitation = defineEntity({
  name: 'Invitation',
  tableName: 'invitations',
  properties: {
    id: p.uuid().primary(),
    teamId: p.uuid(),
    /** Whom it invites; once accepted or declined: who did that. */
    userId: p.text().strictNullable(),
    email: p.text().strictNullable(),
    role: p.text().$type<Role>(),
    /** Who invites, as `nameActor` writes it. */
    invitedBy: p.text(),
    status: p.text().$type<InvitationStatus>(),
    createdAt: p.datetime(),
    expiresAt: p.datetime(),
  },
});

export type Invitation = InferEntity<typeof Invitation>;
