import { z } from 'zod';
import { decimalOut, formatCredits } from '../../catalog/credits.ts';
import { type ListedDebt, listDebts } from '../../ledger/read/list-debts.ts';
import { anyRole } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, listQuery, nullableText, pageOf, teamParams } from '../shapes.ts';

const debtOut = z
  .strictObject({
    cycle: z
      .strictObject({
        subscriptionId: z.string().meta({ examples: ['0b7d6f0e-7f5c-4f7a-8a55-4d0ad9c2a003'] }),
        start: instantOut,
      })
      .nullable()
      .meta({ description: 'The cycle whose credits were taken back; null for a pack' }),
    orders: z
      .array(
        z
          .strictObject({
            id: z
              .string()
              .meta({ description: 'Polar’s id', examples: ['0b7d6f0e-7f5c-4f7a-8a55-4d0ad9c2a001'] }),
            product: nullableText('pack_1000', 'The key of the plan or pack'),
            paidAt: instantOut.nullable(),
            reversed: z.boolean().meta({ description: 'Whether some of its money is refunded or disputed' }),
          })
          .meta({ id: 'DebtOrder' }),
      )
      .meta({
        description:
          'The orders that paid for the credits, oldest first: one for a pack, more for a cycle whose plan was changed',
      }),
    owed: decimalOut.meta({ description: 'Credits that were used before they were taken back' }),
    settled: decimalOut.meta({ description: 'Paid so far by other credits of the team' }),
    outstanding: decimalOut.meta({ description: 'owed − settled' }),
    createdAt: instantOut.meta({ description: 'When credits were owed first' }),
  })
  .meta({ id: 'Debt' });

export const debtRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/debts',
    tag: 'Credits',
    operationId: 'listDebts',
    summary: 'List what the team owes, in the order in which it is settled',
    description:
      'One debt per order of a pack and per cycle of a subscription. Settled debts are left out: the sum of outstanding is the balance’s debt.',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams, query: listQuery },
    answers: { 200: pageOf('DebtPage', debtOut) },
    async handle({ params: { teamId }, query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listDebts(database.pool, teamId, query);
      return { status: 200, body: { data: data.map(debtJson), nextCursor } };
    },
  }),
];

function debtJson({ cycle, orders, createdAt, ...credits }: ListedDebt): z.output<typeof debtOut> {
  return {
    cycle: cycle && { subscriptionId: cycle.subscriptionId, start: cycle.start.toISOString() },
    orders: orders.map(({ id, product, paidAt, reversed }) => ({
      id,
      product,
      paidAt: paidAt?.toISOString() ?? null,
      reversed,
    })),
    owed: formatCredits(credits.owed),
    settled: formatCredits(credits.settled),
    outstanding: formatCredits(credits.outstanding),
    createdAt: createdAt.toISOString(),
  };
}
