import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import type { Message } from './messages.ts';

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
