import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { decimalOut, formatCredits } from '../catalog/credits.ts';
import { grantSources } from '../database/entities/grant.ts';
import { limitPeriods, limitSubjects } from '../database/entities/limit.ts';

/** The messages to other systems, the schema of each type's data, and their storage. Types are part of the API: never renamed. */

const teamId = z.guid().meta({ description: 'The team' });
const at = z.iso.datetime().meta({ examples: ['2026-01-31T12:00:00.000Z'] });
const source = z.enum(grantSources).meta({ id: 'GrantedSource' });
const available = decimalOut.meta({ description: 'The team’s spendable credits after the change' });

export const messageData = {
  'credits.granted': z
    .strictObject({
      teamId,
      grantId: z.guid(),
      source,
      credits: decimalOut,
      product: z
        .string()
        .nullable()
        .meta({ description: 'The catalog key of the plan or pack', examples: ['pack_1000'] }),
      expiresAt: at.nullable().meta({ description: 'Null: the credits never expire' }),
    })
    .meta({ id: 'CreditsGranted', description: 'A team got credits' }),
  'credits.low': z
    .strictObject({
      teamId,
      available,
      thresholds: z.array(
        z
          .strictObject({
            threshold: z.string().meta({ description: 'As it was set', examples: ['20%'] }),
            credits: decimalOut.meta({ description: 'The threshold in credits' }),
          })
          .meta({ id: 'CrossedThreshold' }),
      ),
    })
    .meta({
      id: 'CreditsLow',
      description:
        'The spendable credits fell to one or more thresholds. Sent again only after credits came in',
    }),
  'credits.exhausted': z.strictObject({ teamId, available }).meta({
    id: 'CreditsExhausted',
    description:
      'A team has no credits left, or a request was refused because it had too few. Sent again only after credits came in',
  }),
  'credits.expiring': z
    .strictObject({
      teamId,
      expiresAt: at,
      daysAhead: z.literal([7, 1]),
      credits: decimalOut.meta({ description: 'Credits that expire then' }),
      unused: decimalOut.meta({ description: 'The part of them that will be lost at the current pace' }),
    })
    .meta({
      id: 'CreditsExpiring',
      description: 'Credits will expire unused within 7 days, or within 1 day',
    }),
  'credits.expired': z
    .strictObject({
      teamId,
      credits: decimalOut,
      grants: z.array(
        z.strictObject({ grantId: z.guid(), credits: decimalOut }).meta({ id: 'ExpiredShare' }),
      ),
    })
    .meta({ id: 'CreditsExpired', description: 'Credits expired' }),
  'limit.reached': z
    .strictObject({
      teamId,
      level: z.enum(limitSubjects),
      subjectId: z.string().meta({ description: 'A user id, or an API key’s id', examples: ['user_42'] }),
      limit: decimalOut,
      per: z.enum(limitPeriods),
      used: decimalOut,
      windowStart: at,
    })
    .meta({
      id: 'LimitReached',
      description: 'A member or an API key reached its limit. Sent once for each window',
    }),
  'subscription.updated': z
    .strictObject({
      teamId,
      subscriptionId: z.string().meta({ examples: ['01929d7e-8c1f-7a54-b2f6-3a1c9d0e4b52'] }),
      plan: z.string().meta({ examples: ['pro_monthly'] }),
      nextPlan: z
        .string()
        .nullable()
        .meta({ description: 'The plan of the next cycle, if it changes', examples: ['starter_monthly'] }),
      status: z.string().meta({ examples: ['active'] }),
      cycleStart: at,
      cycleEnd: at,
      cancelAtPeriodEnd: z.boolean(),
    })
    .meta({ id: 'SubscriptionUpdated', description: 'The plan, the status or the cycle changed' }),
  'payment.past_due': z
    .strictObject({
      teamId,
      subscriptionId: z.string().meta({ examples: ['01929d7e-8c1f-7a54-b2f6-3a1c9d0e4b52'] }),
      plan: z.string().meta({ examples: ['pro_monthly'] }),
    })
    .meta({
      id: 'PaymentPastDue',
      description: 'A renewal could not be paid. No credits are granted until it is',
    }),
  'webhook_endpoint.disabled': z
    .strictObject({
      endpointId: z.guid(),
      url: z.url().meta({ examples: ['https://example.com/billing-events'] }),
      reason: z.enum(['gone', 'failing']).meta({
        description: 'It answered 410, or every attempt failed for five days',
      }),
    })
    .meta({
      id: 'WebhookEndpointDisabled',
      description: 'An endpoint gets no more messages until it is enabled',
    }),
} as const satisfies Record<string, z.ZodType>;

export type MessageType = keyof typeof messageData;
export const messageTypes = Object.keys(messageData) as [MessageType, ...MessageType[]];

/** A message to other systems, before it is stored. Credits are decimal strings, times are ISO 8601 in UTC. */
export type Message = {
  [Type in MessageType]: { type: Type; data: z.output<(typeof messageData)[Type]> };
}[MessageType];

/**
 * The `credits.low` of the thresholds that the balance crossed, and the `credits.exhausted` if it is due.
 * @param available  the team's spendable micro-credits
 */
export function alertMessages(
  teamId: string,
  available: bigint,
  { crossed, exhausted }: { crossed: readonly { threshold: string; credits: bigint }[]; exhausted: boolean },
): Message[] {
  const balance = { teamId, available: formatCredits(available) };
  const thresholds = crossed.map(({ threshold, credits }) => {
    return { threshold, credits: formatCredits(credits) };
  });
  return [
    ...(crossed.length > 0 ? [{ type: 'credits.low' as const, data: { ...balance, thresholds } }] : []),
    ...(exhausted ? [{ type: 'credits.exhausted' as const, data: balance }] : []),
  ];
}

/** The `credits.expired` of moves to `expired`, all of one team. */
export function expiryMessage(
  teamId: string,
  moves: readonly { grantId: string; amount: bigint }[],
): Message {
  const expired = moves.reduce((sum, { amount }) => sum + amount, 0n);
  const grants = moves.map(({ grantId, amount }) => ({ grantId, credits: formatCredits(amount) }));
  return { type: 'credits.expired', data: { teamId, credits: formatCredits(expired), grants } };
}

/** Stores messages to other systems, in the transaction of their cause. The caller holds their team's lock. */
export async function storeMessages(
  em: EntityManager,
  messages: readonly Message[],
  at: Date,
): Promise<void> {
  if (messages.length > 0) await em.execute(insertMessages('?'), [at, rowsOf(messages)]);
}

/** The same for the hot path: a statement for its connection. */
export function storeMessagesStatement(messages: readonly Message[], at: Date) {
  return { name: 'store-messages', text: insertMessages(), values: [at, rowsOf(messages)] };
}

/** The sequence follows the order of the array. */
function insertMessages(placeholder?: '?'): string {
  return `insert into outbox (id, team_id, type, at, data)
          select (m ->> 'id')::uuid, (m ->> 'teamId')::uuid, m ->> 'type', at, m -> 'data'
            from (select ${placeholder ?? '$1'}::timestamptz as at) as cause
           cross join jsonb_array_elements(${placeholder ?? '$2'}::jsonb) with ordinality as all_messages (m, place)
           order by place`;
}

function rowsOf(messages: readonly Message[]): string {
  return JSON.stringify(
    messages.map((message) => {
      const { type, data } = message;
      return { id: uuidv7(), teamId: 'teamId' in data ? data.teamId : null, type, data };
    }),
  );
}
