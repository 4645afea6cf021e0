import { z } from 'zod';
import { creditsSchema, decimalOut, formatCredits } from '../../catalog/credits.ts';
import { setAlerts } from '../../ledger/lifecycle/set-alerts.ts';
import { type Alerts, readAlerts } from '../../ledger/read/read-alerts.ts';
import { recordAct } from '../../teams/actor.ts';
import { anyRole, billingRoles } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { teamParams } from '../shapes.ts';

const percentage = z
  .string()
  .regex(/^[1-9]\d?%$/, { error: 'expected a percentage of 1% to 99%' })
  .meta({ description: 'A percentage of the balance after credits last came in', examples: ['20%'] });

const alertsIn = z
  .strictObject({
    lowBalance: z
      .array(z.union([percentage, creditsSchema], { error: 'expected credits above zero, or 1% to 99%' }))
      .max(5)
      .meta({
        description:
          'When to send credits.low: credits, or a percentage of the balance after credits last came in. Empty: never',
        override: { examples: [['20%', '5%', '100']] },
      }),
  })
  .meta({ id: 'NewAlerts' });

const alertsOut = z
  .strictObject({
    lowBalance: z.array(z.string()).meta({ examples: [['20%', '5%']] }),
    percentOf: decimalOut.meta({
      description: 'The balance after credits last came in. Percentages refer to it',
    }),
  })
  .meta({ id: 'Alerts', description: 'The thresholds of the team’s low balance; by default 20% and 5%' });

export const alertRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/alerts',
    tag: 'Credits',
    operationId: 'readAlerts',
    summary: 'Read when the team is alerted',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams },
    answers: { 200: alertsOut },
    async handle({ params: { teamId } }, { dependencies: { database } }) {
      return { status: 200, body: alertsJson(await readAlerts(database.fork(), teamId)) };
    },
  }),

  defineRoute({
    method: 'put',
    path: '/v1/teams/{teamId}/alerts',
    tag: 'Credits',
    operationId: 'setAlerts',
    summary: 'Set when the team is alerted',
    description:
      'credits.low is sent when the spendable credits fall to a threshold or below it. It is sent again only after credits came in; a released hold does not count.',
    access: { services: ['billing', 'admin'], persons: billingRoles },
    request: { params: teamParams, body: alertsIn },
    answers: { 200: alertsOut },
    async handle({ params: { teamId }, body }, { dependencies: { database }, caller, confirmRights }) {
      const lowBalance = [
        ...new Set(body.lowBalance.map((one) => (typeof one === 'bigint' ? formatCredits(one) : one))),
      ];
      const alerts = await database.transaction(async (em) => {
        await confirmRights(em);
        const before = await setAlerts(em, teamId, lowBalance);
        await recordAct(em, caller(), {
          action: 'alerts.set',
          teamId,
          before: { lowBalance: before },
          after: { lowBalance },
        });
        return readAlerts(em, teamId);
      });
      return { status: 200, body: alertsJson(alerts) };
    },
  }),
];

function alertsJson({ lowBalance, percentOf }: Alerts): z.output<typeof alertsOut> {
  return { lowBalance, percentOf: formatCredits(percentOf) };
}
