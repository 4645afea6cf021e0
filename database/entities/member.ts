import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** A user's role in a team. `owner`, `admin` and `billing` may pay. `owner` and `admin` manage members. */
export const roles = ['owner', 'admin', 'billing', 'member'] as const;
export type Role = (typeof roles)[number];

/** The roles that manage members and limits. */
export const managerRoles = ['owner', 'admin'] as const satisfies readonly Role[];

export const Member = defineEntity({
  name: 'Member',
  tableName: 'members',
  properties: {
    teamId: p.uuid().primary(),
    userId: p.text().primary(),
    role: p.text().$type<Role>(),
    createdAt: p.datetime(),
  },
});

export type Member = InferEntity<typeof Member>;
