import { z } from 'zod';
import { nameCaller } from '../authenticate.ts';
import { anyRole } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { teamParams } from '../shapes.ts';
import { changeKinds } from '../team-events.ts';

const teamEventOut = z
  .object({
    id: z.string().meta({ description: 'The state of the team, for `Last-Event-ID`' }),
    event: z.literal('message'),
    data: z.string().meta({
      description: 'What has changed',
      contentMediaType: 'application/json',
      contentSchema: {
        type: 'object',
        properties: { changed: { type: 'array', items: { enum: changeKinds }, minItems: 1 } },
        required: ['changed'],
      },
    }),
  })
  .meta({
    id: 'TeamEvent',
    description: 'One server-sent event',
    examples: [
      {
        id: '3f1c9a527f0e-d41d8cd98f00-d41d8cd98f00-0c6d6f1f8e11',
        event: 'message',
        data: '{"changed":["balance","usage"]}',
      },
    ],
  });

export const eventRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/events',
    tag: 'Credits',
    operationId: 'streamTeamEvents',
    summary: 'Stream what changes in a team, as server-sent events',
    description:
      'Each event names what has changed within the last second. It contains no figures: read them again. `changed` contains one or more of `balance`, `subscription`, `invoices`, `usage`. A browser that connects again sends `Last-Event-ID`, and gets what it missed. A comment every 15 seconds keeps the connection open. The stream ends when the caller loses the right to read the team, when the token or session ends, and when the process stops. If it cannot be opened, read the figures again from time to time.',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams },
    answers: { 200: null },
    streamedEvent: teamEventOut,
    async handle({ params: { teamId } }, { dependencies, headers, caller, confirmCaller }) {
      const who = caller();
      const lastEventId = headers['last-event-id'];
      const stream = await dependencies.teamEvents.open({
        teamId,
        caller: nameCaller(who),
        lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
        validUntil: who.kind === 'person' ? who.validUntil : undefined,
        confirmCaller,
      });
      return { status: 200, stream };
    },
  }),
];
