import { z } from 'zod';
import { decimalOut, formatCredits } from '../../catalog/credits.ts';
import { readBalanceHistory } from '../../ledger/read/balance-history.ts';
import { readForecast } from '../../ledger/read/forecast-credits.ts';
import { type Balance, readBalance } from '../../ledger/read/read-balance.ts';
import { anyRole } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { creditsAtOut, grantSourceOut, instantIn, instantOut, teamParams, timezoneIn } from '../shapes.ts';

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
    unused: decimalOut.meta({
      description: 'The part of these credits that is not used by then, at the current pace',
    }),
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

const historyOut = z
  .strictObject({
    from: instantOut,
    to: instantOut,
    timezone: z.string().meta({ examples: ['Europe/Berlin'] }),
    opening: z
      .strictObject({ available: decimalOut, held: decimalOut })
      .meta({ id: 'OpeningBalance', description: 'Before the first day' }),
    data: z.array(
      z
        .strictObject({
          day: z.iso.date(),
          granted: decimalOut.meta({ description: 'Credits that came in' }),
          consumed: decimalOut,
          expired: decimalOut.meta({ description: 'Negative: more were reinstated than expired' }),
          revoked: decimalOut.meta({ description: 'Taken back. Negative: more were given back' }),
          settled: decimalOut.meta({ description: 'Used to settle a debt. Negative: more were given back' }),
          available: decimalOut.meta({ description: 'At the end of the day' }),
          held: decimalOut.meta({ description: 'At the end of the day' }),
        })
        .meta({ id: 'BalanceDay' }),
    ),
    asOf: instantOut,
  })
  .meta({ id: 'BalanceHistory' });

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
    path: '/v1/teams/{teamId}/balance/history',
    tag: 'Credits',
    operationId: 'readBalanceHistory',
    summary: 'Read what each local day changed in the team’s balance, and the balance at its end',
    description:
      'At most 400 days; days that have not begun are left out. Each transfer counts on the day on which it was written. available + held changes by granted − consumed − expired − revoked − settled.',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: {
      params: teamParams,
      query: z.object({
        from: instantIn,
        to: instantIn.meta({ description: 'Exclusive', override: { examples: ['2026-02-28T23:00:00Z'] } }),
        timezone: timezoneIn.default('UTC'),
      }),
    },
    heavy: () => true,
    answers: { 200: historyOut },
    refusals: ['empty_range', 'range_too_long', 'unknown_timezone'],
    async handle({ params: { teamId }, query }, { dependencies: { database } }) {
      const { opening, days, asOf } = await readBalanceHistory(database, { teamId, ...query });
      const body: z.output<typeof historyOut> = {
        from: query.from.toISOString(),
        to: query.to.toISOString(),
        timezone: query.timezone,
        opening: { available: formatCredits(opening.available), held: formatCredits(opening.held) },
        data: days.map(({ day, ...amounts }) => ({
          day,
          granted: formatCredits(amounts.granted),
          consumed: formatCredits(amounts.consumed),
          expired: formatCredits(amounts.expired),
          revoked: formatCredits(amounts.revoked),
          settled: formatCredits(amounts.settled),
          available: formatCredits(amounts.available),
          held: formatCredits(amounts.held),
        })),
        asOf: asOf.toISOString(),
      };
      return { status: 200, body };
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
