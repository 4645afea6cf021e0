import type { Database } from '../database/connection.ts';

const deliveriesPerBatch = 1_000;
/** If an attempt is overdue by this time, its signal was lost, for example because Temporal has lost its data. */
const overdueMinutes = 5;

/**
 * Calls `signal` for each endpoint with new deliveries, then marks them. If the process dies in between, the endpoint is
 * signalled again, which is harmless. An endpoint whose signal fails delays no other endpoint.
 *
 * @param signal  signals the endpoint's workflow; if it throws, the endpoint's deliveries stay unmarked
 * @throws the first error of `signal`, after the other endpoints are signalled
 */
export async function signalEndpoints(
  { pool }: Database,
  signal: (endpointId: string) => Promise<void>,
): Promise<void> {
  const { rows } = await pool.query<{ endpoint_id: string; messages: string[] }>({
    name: 'unsignalled-deliveries',
    text: `select e.id as endpoint_id, array_agg(d.message_id) as messages
             from webhook_endpoints e
             cross join lateral (select message_id from webhook_deliveries
                                  where endpoint_id = e.id and status = 'pending' and not signalled
                                  limit ${deliveriesPerBatch}) d
            group by e.id`,
  });
  const results = await Promise.allSettled(
    rows.map(async ({ endpoint_id, messages }) => {
      await signal(endpoint_id);
      await pool.query(
        'update webhook_deliveries set signalled = true where endpoint_id = $1 and message_id = any($2::uuid[])',
        [endpoint_id, messages],
      );
    }),
  );
  const failed = results.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
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
