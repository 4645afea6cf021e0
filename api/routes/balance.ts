import { z } from 'zod';
import { decimalOut, formatCredits } from '../../catalog/credits.ts';
import { readForecast } from '../../ledger/read/forecast-credits.ts';
import { type Balance, readBalance } from '../../ledger/read/read-balance.ts';
import { anyRole } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { creditsAtOut, grantSourceOut, instantIn, instantOut, teamParams } from '../shapes.ts';

const grantOut = z
  .strictObject({
    id: z.guid(),
    source: grantSourceOut,
    granted: decimalOut,
    available: decimalOut,
    held: decimalOut,
    consumed: decimalOut,
    expired: decimalOut,
    revoked: decimalOut,
    settled: decimalOut,
    effectiveAt: instantOut,
    expiresAt: instantOut.nullable().meta({ description: 'Null: lifetime credits' }),
  })
  .meta({ id: 'Grant' });

const creditsBySourceOut = z
  .strictObject({
    trial: decimalOut,
    subscription: decimalOut,
    purchase: decimalOut,
    adjustment: decimalOut,
  })
  .meta({ id: 'CreditsBySource' });

const balanceOut = z
  .strictObject({
    available: decimalOut.meta({ description: 'Credits that can be spent' }),
    held: decimalOut,
    debt: decimalOut.meta({ description: 'Owed for refunds and disputes of credits that were spent' }),
    bySource: creditsBySourceOut,
    grants: z.array(grantOut),
    nextExpiry: creditsAtOut.nullable(),
    asOf: instantOut,
  })
  .meta({ id: 'Balance' });

const expiringOut = z
  .strictObject({
    at: instantOut,
    credits: decimalOut.meta({ description: 'All credits that expire then if none are used before' }),
    unused: decimalOut.meta({ description: 'Those of them that are left then at the current pace' }),
  })
  .meta({ id: 'ExpiringCredits' });

const forecastOut = z
  .strictObject({
    expiring: z.array(expiringOut),
    pace: z.strictObject({ days: z.int(), creditsPerDay: decimalOut }).meta({ id: 'Pace' }),
    runsOutAt: instantOut.nullable().meta({
      description: 'When no credits are left, used up or expired; null: not within a hundred years',
    }),
    asOf: instantOut,
  })
  .meta({ id: 'Forecast' });

export const balanceRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/balance',
    tag: 'Credits',
    operationId: 'readBalance',
    summary: 'Read the team’s balance, now or at a past instant',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole, teamIsCheckedByHandler: true },
    request: { params: teamParams, query: z.object({ at: instantIn.exactOptional() }) },
    heavy: ({ query: { at } }) => at !== undefined,
    answers: { 200: balanceOut },
    refusals: ['at_in_the_future'],
    async handle({ params: { teamId }, query: { at } }, { dependencies: { database } }) {
      return { status: 200, body: balanceJson(await readBalance(database, teamId, at)) };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/forecast',
    tag: 'Credits',
    operationId: 'forecastCredits',
    summary: 'Forecast which credits expire and when the credits run out',
    description:
      'At the pace of the last 7 days, if no credits are added. Credits that expire before they would be used are counted as lost.',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole, teamIsCheckedByHandler: true },
    request: { params: teamParams },
    answers: { 200: forecastOut },
    async handle({ params: { teamId } }, { dependencies: { database } }) {
      const { expiring, pace, runsOutAt, asOf } = await readForecast(database, teamId);
      const body: z.output<typeof forecastOut> = {
        expiring: expiring.map(({ at, credits, unused }) => ({
          at: at.toISOString(),
          credits: formatCredits(credits),
          unused: formatCredits(unused),
        })),
        pace: { days: pace.days, creditsPerDay: formatCredits(pace.creditsPerDay) },
        runsOutAt: runsOutAt?.toISOString() ?? null,
        asOf: asOf.toISOString(),
      };
      return { status: 200, body };
    },
  }),
];

function balanceJson({ bySource, grants, nextExpiry, ...balance }: Balance): z.output<typeof balanceOut> {
  return {
    available: formatCredits(balance.available),
    held: formatCredits(balance.held),
    debt: formatCredits(balance.debt),
    bySource: {
      trial: formatCredits(bySource.trial),
      subscription: formatCredits(bySource.subscription),
      purchase: formatCredits(bySource.purchase),
      adjustment: formatCredits(bySource.adjustment),
    },
    grants: grants.map((grant) => ({
      id: grant.id,
      source: grant.source,
      granted: formatCredits(grant.granted),
      available: formatCredits(grant.available),
      held: formatCredits(grant.held),
      consumed: formatCredits(grant.consumed),
      expired: formatCredits(grant.expired),
      revoked: formatCredits(grant.revoked),
      settled: formatCredits(grant.settled),
      effectiveAt: grant.effectiveAt.toISOString(),
      expiresAt: grant.expiresAt?.toISOString() ?? null,
    })),
    nextExpiry: nextExpiry && { at: nextExpiry.at.toISOString(), credits: formatCredits(nextExpiry.credits) },
    asOf: balance.asOf.toISOString(),
  };
}
