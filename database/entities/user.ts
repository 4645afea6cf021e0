import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** A user, with the platform's id. Name and e-mail are null after the user is erased. */
export const User = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    id: p.text().primary(),
    email: p.text().strictNullable(),
    name: p.text().strictNullable(),
    personalTeamId: p.uuid(),
    createdAt: p.datetime(),
    erasedAt: p.datetime().strictNullable(),
  },
});

export type User = InferEntity<typeof User>;
