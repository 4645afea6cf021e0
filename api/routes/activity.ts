import { z } from 'zod';
import { decimalOut, formatCredits } from '../../catalog/credits.ts';
import { type ActivityEntry, creditsChanges, listActivity } from '../../ledger/read/list-activity.ts';
import { anyRole } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import {
  grantSourceOut,
  instantOut,
  listQuery,
  nullableText,
  pageOf,
  teamParams,
  timezoneIn,
} from '../shapes.ts';

const creditsEntryOut = z
  .strictObject({
    at: instantOut,
    kind: z.literal('credits'),
    change: z.enum(creditsChanges),
    credits: decimalOut,
    source: grantSourceOut,
    grantId: z.guid(),
    reference: nullableText('order:0b7d6f0e', 'The cause'),
  })
  .meta({ id: 'CreditsActivity' });
const usedEntryOut = z
  .strictObject({
    at: instantOut.meta({ description: 'The start of the day' }),
    kind: z.literal('used'),
    day: z.iso.date(),
    credits: decimalOut,
    events: z.int(),
  })
  .meta({ id: 'UsedActivity' });
const actEntryOut = z
  .strictObject({
    at: instantOut,
    kind: z.literal('act'),
    action: z.string().meta({ examples: ['subscription.changed'] }),
    actor: z.string().meta({
      description: 'person:{userId}, service:{keyId}, or operator:{name}',
      examples: ['person:user_42'],
    }),
    subject: nullableText('user_43'),
    reason: nullableText('Compensation for the outage of 12 May'),
  })
  .meta({ id: 'AdministrativeActivity' });
const entryOut = z.discriminatedUnion('kind', [creditsEntryOut, usedEntryOut, actEntryOut]);

export const activityRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/activity',
    tag: 'Credits',
    operationId: 'listActivity',
    summary:
      'List what happened to the team’s credits, its usage by day and administrative acts, newest first',
    description:
      'A page may have fewer entries than its limit. The last page is the one whose nextCursor is null.',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams, query: listQuery.extend({ timezone: timezoneIn.default('UTC') }) },
    heavy: () => true,
    answers: { 200: pageOf('ActivityPage', entryOut) },
    refusals: ['unknown_timezone'],
    async handle({ params: { teamId }, query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listActivity(database, teamId, query);
      return { status: 200, body: { data: data.map(entryJson), nextCursor } };
    },
  }),
];

function entryJson({ id: _id, ...entry }: ActivityEntry): z.output<typeof entryOut> {
  const at = entry.at.toISOString();
  return entry.kind === 'act' ? { ...entry, at } : { ...entry, at, credits: formatCredits(entry.credits) };
}
