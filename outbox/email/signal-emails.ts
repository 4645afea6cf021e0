import type { Database } from '../../database/connection.ts';

const emailsPerBatch = 1_000;
/** If an e-mail is overdue by this time, its signal was lost, for example because Temporal has lost its data. */
const overdueMinutes = 5;

/**
 * Calls `signal` if there are new e-mails, then marks them. If the process dies in between, it signals again, which is
 * harmless.
 */
export async function signalEmails({ pool }: Database, signal: () => Promise<void>): Promise<void> {
  const { rows } = await pool.query<{ id: string }>({
    name: 'unsignalled-emails',
    text: `select id from emails where status = 'pending' and not signalled limit ${emailsPerBatch}`,
  });
  if (rows.length === 0) return;
  await signal();
  await pool.query('update emails set signalled = true where id = any($1::uuid[])', [
    rows.map(({ id }) => id),
  ]);
}

/** Marks an overdue e-mail for another signal. Cheap: call it once a minute. */
export async function signalOverdueEmailsAgain({ pool }: Database): Promise<void> {
  await pool.query(
    `update emails set signalled = false
      where id = (select id from emails where status = 'pending' order by next_attempt_at limit 1)
        and signalled and next_attempt_at < billing_now() - make_interval(mins => ${overdueMinutes})`,
  );
}
