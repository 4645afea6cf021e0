import { formatCredits } from '../../catalog/credits.ts';
import { type Database, lockTeam } from '../../database/connection.ts';
import { runEach } from '../../database/run-each.ts';
import { type Message, storeMessages } from '../../outbox/messages.ts';
import { readForecast } from '../read/forecast-credits.ts';

const dayMs = 86_400_000;
const teamsPerPage = 200;

/**
 * Stores `credits.expiring` 7 days and 1 day before credits expire, if the forecast calls a part of them unused. Each
 * notice is decided once: a row in `expiry_notices`, in the transaction of the message. If both are due, only the
 * notice of 1 day is sent. Safe to run at any time, by any number of processes.
 *
 * @returns how many notices were sent
 * @throws Error as `runEach`, after all other teams have their notices
 */
export async function announceExpiringCredits(
  database: Database,
  { signal, onProgress }: { signal?: AbortSignal; onProgress?: (sent: number) => void } = {},
): Promise<number> {
  // An expiry in the past is never considered again.
  await database.pool.query(
    `delete from expiry_notices where expires_at < billing_now() - interval '30 days'`,
  );
  let sent = 0;
  await runEach(dueTeams(database, signal), async (teamId) => {
    sent += await announceForTeam(database, teamId);
    onProgress?.(sent);
  });
  return sent;
}

/** The teams that have credits whose notice is not decided yet, until `signal` is aborted. */
async function* dueTeams(
  database: Database,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const teamIds = await findTeams(database, after);
    for (const teamId of teamIds) {
      if (signal?.aborted) return;
      yield teamId;
    }
    const last = teamIds.at(-1);
    if (last === undefined || teamIds.length < teamsPerPage) return;
    after = last;
  }
}

async function findTeams({ pool }: Database, after: string): Promise<string[]> {
  const { rows } = await pool.query<{ team_id: string }>(
    `select distinct g.team_id
       from grants g
       join teams t on t.id = g.team_id and t.deleted_at is null
      cross join (values (7), (1)) as notice (days)
      where g.open and g.available > 0 and g.team_id > $1
        and g.expires_at > (select billing_now()) and g.expires_at <= (select billing_now()) + make_interval(days => notice.days)
        and not exists (select from expiry_notices n
                         where n.team_id = g.team_id and n.expires_at = g.expires_at and n.days_ahead = notice.days)
      order by g.team_id
      limit ${teamsPerPage}`,
    [after],
  );
  return rows.map(({ team_id }) => team_id);
}

async function announceForTeam(database: Database, teamId: string): Promise<number> {
  const { expiring } = await readForecast(database, teamId);
  return database.transaction(async (em) => {
    const locked = await lockTeam(em, teamId);
    if (!locked || locked.team.deletedAt) return 0;
    const { now } = locked;
    const messages: Message[] = [];
    for (const { at, credits, unused } of expiring) {
      const leftMs = at.getTime() - now.getTime();
      if (leftMs <= 0 || leftMs > 7 * dayMs) continue;
      const daysAhead = leftMs <= dayMs ? 1 : 7;
      const decided = await em.execute<{ days_ahead: number }[]>(
        `insert into expiry_notices (team_id, expires_at, days_ahead, decided_at)
         select ?, ?, days, ? from unnest(?::int[]) as days
             on conflict do nothing
         returning days_ahead`,
        [teamId, at, now, daysAhead === 1 ? '{7,1}' : '{7}'],
      );
      if (unused === 0n || !decided.some(({ days_ahead }) => days_ahead === daysAhead)) continue;
      messages.push({
        type: 'credits.expiring',
        data: {
          teamId,
          expiresAt: at.toISOString(),
          daysAhead,
          credits: formatCredits(credits),
          unused: formatCredits(unused),
        },
      });
    }
    await storeMessages(em, messages, now);
    return messages.length;
  });
}
