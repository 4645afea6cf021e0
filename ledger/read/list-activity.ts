import type { Database } from '../../database/connection.ts';
import type { GrantSource } from '../../database/entities/grant.ts';
import type { TransferKind } from '../../database/entities/transfer.ts';
import type { ListPage } from '../../database/list-page.ts';
import { DomainError } from '../../domain-error.ts';
import { pageOfHistory, placeBefore } from './history-page.ts';
import { reportUsage } from './report-usage.ts';

/** An entry of a team's timeline. Credits in micro-credits. */
export type ActivityEntry = { at: Date; id: string } & (
  | {
      kind: 'credits';
      change: CreditsChange;
      credits: bigint;
      source: GrantSource;
      grantId: string;
      reference: string | null;
    }
  /** The usage of a local day, at the start of that day. */
  | { kind: 'used'; day: string; credits: bigint; events: number }
  | { kind: 'act'; action: string; actor: string; subject: string | null; reason: string | null }
);

/** What happened to credits, other than usage. */
export const creditsChanges = [
  'granted',
  'expired',
  'reinstated',
  'clawed_back',
  'clawback_reversed',
  'debt_settled',
  'debt_settlement_reversed',
  'taken_by_adjustment',
  'forfeited',
] as const;
export type CreditsChange = (typeof creditsChanges)[number];

const dayMs = 86_400_000;
/** A page without older entries covers at most this time. */
const longestPageMs = 365 * dayMs;
/** Usage may have occurred before its team was created, because it may be reported late. */
const lateUsageMs = 121 * dayMs;

const activityId = { pattern: /^[0atu][0-9a-f-]*$/, least: '0' };

/**
 * A team's timeline, newest first: credits that came or went, the usage of each day, and administrative acts. A page may
 * have fewer entries than its limit although it is not the last one.
 * @throws DomainError `invalid_cursor`, `unknown_team`, `unknown_timezone`
 */
export async function listActivity(
  database: Database,
  teamId: string,
  { limit, cursor, timezone }: { limit: number; cursor?: string | undefined; timezone: string },
): Promise<ListPage<ActivityEntry>> {
  const before = placeBefore({ limit, cursor }, activityId);
  const { now, createdAt } = await readTeamTimes(database, teamId);
  const changes = await listChanges(database, teamId, before, limit + 1);
  const end = before.at === 'infinity' ? now : new Date(before.at);
  const earliest = new Date(createdAt.getTime() - lateUsageMs);
  const oldest = changes.length > limit ? changes.at(-1)?.at : undefined;
  const from = new Date(
    Math.min(end.getTime(), Math.max(end.getTime() - longestPageMs, (oldest ?? earliest).getTime())),
  );
  const used = (await listUsedDays(database, { teamId, from, end, timezone })).filter((entry) =>
    isBefore(entry, before),
  );
  const entries = [...changes, ...used]
    .filter(({ at }) => at >= from)
    .sort((a, b) => b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : -1));
  const page = pageOfHistory(entries, limit, (entry) => entry);
  if (page.nextCursor !== null || (oldest === undefined && from <= earliest)) return page;
  return { ...page, nextCursor: `${from.getTime()}.${activityId.least}` };
}

function isBefore(entry: { at: Date; id: string }, place: { at: string; id: string }): boolean {
  if (place.at === 'infinity') return true;
  const distance = entry.at.getTime() - Date.parse(place.at);
  return distance < 0 || (distance === 0 && entry.id < place.id);
}

async function readTeamTimes({ pool }: Database, teamId: string): Promise<{ now: Date; createdAt: Date }> {
  const { rows } = await pool.query<{ now: string; created_at: string }>(
    `select extract(epoch from billing_now()) * 1000 as now, extract(epoch from created_at) * 1000 as created_at
       from teams where id = $1`,
    [teamId],
  );
  const [team] = rows;
  if (!team) throw new DomainError('unknown_team', `There is no team ${teamId}`);
  return { now: new Date(Number(team.now)), createdAt: new Date(Number(team.created_at)) };
}

interface ChangeRow {
  at: string;
  id: string;
  transfer: TransferKind | null;
  to_account: string;
  amount: string;
  source: GrantSource;
  grant_id: string;
  reference: string | null;
  action: string;
  actor: string;
  subject: string | null;
  reason: string | null;
}

async function listChanges(
  { pool }: Database,
  teamId: string,
  before: { at: string; id: string },
  limit: number,
): Promise<ActivityEntry[]> {
  const { rows } = await pool.query<ChangeRow>({
    name: 'list-activity',
    // Each part reads its index from the newest end, only as far as the page needs.
    text: `select extract(epoch from c.at) * 1000 as at, c.id, c.transfer, c.to_account, c.amount, g.source, c.grant_id, c.reference,
                  c.action, c.actor, c.subject, c.reason
             from ((select t.at, 't' || lpad(t.id::text, 19, '0') as id, t.kind as transfer, t.to_account, t.amount, t.grant_id, t.reference,
                           null as action, null as actor, null as subject, null as reason
                      from transfers t
                     where t.team_id = $1 and t.kind not in ('spend', 'hold', 'capture', 'release') and t.at <= $2
                       and (t.at, ('t' || lpad(t.id::text, 19, '0')) collate "C") < ($2, $3)
                     order by t.at desc, t.id desc
                     limit $4)
                   union all
                   (select a.at, 'a' || a.id::text, null, null, null, null, null, a.action, a.actor, a.subject, a.reason
                      from audit_events a
                     where a.team_id = $1 and a.at <= $2 and (a.at, ('a' || a.id::text) collate "C") < ($2, $3)
                     order by a.at desc, a.id desc
                     limit $4)) as c
             left join grants g on g.id = c.grant_id
            order by c.at desc, c.id collate "C" desc
            limit $4`,
    values: [teamId, before.at, before.id, limit],
  });
  return rows.map((row) => {
    const entry = { at: new Date(Number(row.at)), id: row.id };
    if (row.transfer === null) {
      const { action, actor, subject, reason } = row;
      return { ...entry, kind: 'act', action, actor, subject, reason };
    }
    const change = changeOf(row.transfer, row.to_account);
    const { source, grant_id: grantId, reference } = row;
    return { ...entry, kind: 'credits', change, credits: BigInt(row.amount), source, grantId, reference };
  });
}

function changeOf(transfer: TransferKind, toAccount: string): CreditsChange {
  switch (transfer) {
    case 'grant':
      return 'granted';
    case 'expire':
      return 'expired';
    case 'reinstate':
      return 'reinstated';
    case 'clawback':
      return toAccount === 'revoked' ? 'clawed_back' : 'clawback_reversed';
    case 'settle':
      return toAccount === 'settled' ? 'debt_settled' : 'debt_settlement_reversed';
    case 'adjust':
      return 'taken_by_adjustment';
    case 'forfeit':
      return 'forfeited';
    case 'spend':
    case 'hold':
    case 'capture':
    case 'release':
      throw new Error(`a transfer of kind ${transfer} is usage, which the timeline sums by day`);
  }
}

async function listUsedDays(
  database: Database,
  { teamId, from, end, timezone }: { teamId: string; from: Date; end: Date; timezone: string },
): Promise<ActivityEntry[]> {
  // A day that begins in this time is counted completely.
  const to = new Date(end.getTime() + 2 * dayMs);
  const { rows } = await reportUsage(database, { teamId, from, to, timezone, groupBy: ['day'] });
  const { rows: starts } = await database.pool.query<{ day: string; at: string }>(
    `select day::text, extract(epoch from day::timestamp at time zone $2) * 1000 as at from unnest($1::date[]) as day`,
    [rows.map(({ keys }) => keys[0]), timezone],
  );
  return starts.map(({ day, at }, index) => {
    const row = rows[index];
    if (!row) throw new Error('a day of a report has no row');
    const { credits, events } = row;
    return { at: new Date(Number(at)), id: `u${day}`, kind: 'used', day, credits, events };
  });
}
