import type { Database } from '../database/connection.ts';

const readAtOnce = 1_000;
/** An attempt that is overdue by this time was missed: Temporal has lost its data, or a signal. */
const overdueMinutes = 5;

/**
 * Calls `signal` for each endpoint with new deliveries, then marks them. If the process dies in between, the endpoint is
 * signalled again, which is harmless.
 *
 * @param signal  signals the endpoint's workflow; if it throws, its deliveries stay unmarked
 * @returns how many endpoints were signalled
 */
export async function signalEndpoints(
  { pool }: Database,
  signal: (endpointId: string) => Promise<void>,
): Promise<number> {
  const { rows } = await pool.query<{ endpoint_id: string; messages: string[] }>({
    name: 'unsignalled-deliveries',
    text: `select d.endpoint_id, array_agg(d.message_id) as messages
             from (select endpoint_id, message_id from webhook_deliveries
                    where status = 'pending' and not signalled limit ${readAtOnce}) d
            group by d.endpoint_id`,
  });
  for (const { endpoint_id, messages } of rows) {
    await signal(endpoint_id);
    await pool.query(
      'update webhook_deliveries set signalled = true where endpoint_id = $1 and message_id = any($2::uuid[])',
      [endpoint_id, messages],
    );
  }
  return rows.length;
}

/** Marks the overdue attempts of enabled endpoints for another signal. Cheap: call it once a minute. */
export async function signalOverdueAgain({ pool }: Database): Promise<void> {
  await pool.query(
    `update webhook_deliveries d set signalled = false
       from (select distinct on (p.endpoint_id, p.order_key) p.endpoint_id, p.message_id, p.next_attempt_at
               from webhook_deliveries p
               join webhook_endpoints e on e.id = p.endpoint_id and e.disabled_at is null and e.deleted_at is null
              where p.status = 'pending'
              order by p.endpoint_id, p.order_key, p.seq) head
      where d.endpoint_id = head.endpoint_id and d.message_id = head.message_id and d.signalled
        and head.next_attempt_at < billing_now() - make_interval(mins => ${overdueMinutes})`,
  );
}
