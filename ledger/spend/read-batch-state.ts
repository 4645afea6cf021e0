import type { PoolClient } from 'pg';
import { burnOrderSql, expirySql, type GrantSource } from '../../database/entities/grant.ts';
import type { HoldStatus } from '../../database/entities/hold.ts';
import type { LimitPeriod, LimitSubject } from '../../database/entities/limit.ts';
import { currentSubscriptionSql } from '../../database/entities/subscription.ts';
import { armAlerts } from '../rules/alerts.ts';
import { compareBurnOrder } from '../rules/burn-order.ts';
import {
  available as availableOf,
  type BatchState,
  type GrantState,
  type HoldState,
  type KnownKey,
  keyOf,
  type Reading,
  type TeamState,
} from './batch-state.ts';
import { binaryColumn } from './binary-array.ts';
import { type AttributionRow, type HoldAnswer, type Operation, toAttribution } from './operation.ts';

/**
 * A team whose row this transaction has locked. Its flags cannot change before the commit, because a change needs the
 * lock.
 */
export interface LockedTeam {
  id: string;
  deleted: boolean;
  hasLimits: boolean;
  hasDebts: boolean;
  lowBalance: string[];
  /** Micro-credits. */
  alertBase: string;
  alertWatermark: string;
  exhaustionSent: boolean;
  creditsCameIn: boolean;
}

/**
 * Locks teams in id order, as every writer does.
 * @param wait  if false, teams that are locked elsewhere are left out
 */
export async function lockTeams(
  client: PoolClient,
  teamIds: readonly string[],
  wait: boolean,
): Promise<LockedTeam[]> {
  const { rows } = await client.query<LockedTeam>({
    name: wait ? 'lock-teams' : 'lock-free-teams',
    text: `select id, deleted_at is not null as deleted, has_limits as "hasLimits", has_debts as "hasDebts",
                  low_balance as "lowBalance", alert_base as "alertBase", alert_watermark as "alertWatermark",
                  exhaustion_sent as "exhaustionSent", credits_came_in as "creditsCameIn"
             from teams
            where id = any($1::uuid[])
            order by id
              for no key update ${wait ? '' : 'skip locked'}`,
    values: [teamIds],
  });
  return rows;
}

/** The ids of these teams that exist, locked or not. */
export async function findTeams(client: PoolClient, teamIds: readonly string[]): Promise<Set<string>> {
  if (teamIds.length === 0) return new Set();
  const { rows } = await client.query<{ id: string }>('select id from teams where id = any($1::uuid[])', [
    teamIds,
  ]);
  return new Set(rows.map(({ id }) => id));
}

/** How many grants of a team are read at first. Those that burn first pay for nearly every operation. */
export const defaultFirstGrants = 32;

/**
 * Reads the state of the locked teams that these operations need. Nobody can change it before the commit. All
 * statements are sent at once: Postgres executes a connection's statements in order, each with its own snapshot, so
 * nothing is read before the locks are held.
 *
 * @param locking  the locks, requested on this connection and perhaps not answered yet
 * @param teamIds  the teams that are being locked; teams whose lock could not be taken are missing from the result
 * @param reading  what to read in addition
 * @param firstGrants  how many grants of each team to read in burn order
 */
export async function readBatchState(
  client: PoolClient,
  locking: Promise<readonly LockedTeam[]>,
  teamIds: readonly string[],
  operations: readonly Operation[],
  reading: Reading,
  firstGrants: number,
): Promise<BatchState> {
  const named = operations.flatMap((operation) => ('holdId' in operation ? [operation.holdId] : []));
  const [locked, { now, grants }, others, { keys, deletedUpTo }, holds, openHolds] = await Promise.all([
    locking,
    readFirstGrants(client, teamIds, firstGrants),
    readOtherGrants(client, { ...reading, holds: named }),
    readKeys(client, operations),
    readHolds(client, named, reading.lapsedHolds),
    countOpenHolds(client, operations),
  ]);
  const teams = new Map<string, TeamState>(
    locked.map(({ id, deleted, ...alerts }) => [
      id,
      {
        deleted,
        openHolds: openHolds.get(id) ?? 0,
        grants: [],
        unread: 0n,
        limitsMembers: false,
        members: new Set(),
        limits: [],
        debts: [],
        cycle: null,
        alerts: {
          lowBalance: alerts.lowBalance,
          state: {
            base: BigInt(alerts.alertBase),
            watermark: BigInt(alerts.alertWatermark),
            exhaustionSent: alerts.exhaustionSent,
          },
          changed: false,
        },
      },
    ]),
  );
  addGrants(teams, grants);
  const full = locked.filter(({ id }) => teams.get(id)?.grants.length === firstGrants);
  addGrants(teams, others);
  // Most teams have none of these.
  const limited = new Set(locked.flatMap(({ id, hasLimits }) => (hasLimits ? id : [])));
  await Promise.all([
    readRemainingGrants(
      client,
      teams,
      full.filter(({ id }) => !reading.allGrants.has(id)),
      now,
    ),
    readLimitedTeams(client, teams, limited),
    readLimits(client, teams, consumersOf(operations, holds, limited)),
    readDebts(
      client,
      teams,
      locked.filter(({ hasDebts }) => hasDebts),
    ),
  ]);
  for (const team of teams.values()) team.grants.sort(compareBurnOrder);
  for (const { id, creditsCameIn } of locked) {
    const team = creditsCameIn ? teams.get(id) : undefined;
    if (!team) continue;
    team.alerts.state = armAlerts(availableOf(team, now));
    team.alerts.changed = true;
  }
  return { now, teams, keys, holds, keysDeletedUpTo: deletedUpTo };
}

/**
 * The stored keys of these operations, by `keyOf`, and the time until which keys of usage have been deleted. One
 * statement reads both: in its snapshot a deleted key is always covered by `deletedUpTo`.
 */
export async function readKeys(
  client: PoolClient,
  operations: readonly Operation[],
): Promise<{ keys: Map<string, KnownKey>; deletedUpTo: Date }> {
  const keyed = operations.filter(({ idempotencyKey }) => idempotencyKey !== null);
  const { rows } = await client.query<{
    deleted_up_to: string;
    scope: string | null;
    key: string;
    body_hash: Buffer;
    usage_event_id: string | null;
    occurred_at: string;
    response: HoldAnswer;
  }>({
    name: 'read-keys',
    text: `select extract(epoch from d.up_to) * 1000 as deleted_up_to,
                  k.scope, k.key, k.body_hash, k.usage_event_id, extract(epoch from k.occurred_at) * 1000 as occurred_at, k.response
             from key_deletions d
             left join (unnest($1::text[], $2::text[]) as sent (scope, key)
                        join idempotency_keys k on k.scope = sent.scope and k.key = sent.key) on true
            where d.only_row`,
    values: [
      binaryColumn('text', keyed, ({ teamId }) => teamId),
      binaryColumn('text', keyed, ({ idempotencyKey }) => idempotencyKey),
    ],
  });
  const [first] = rows;
  if (!first)
    throw new Error('key_deletions has no row: insert one with the time of the last deletion of keys');
  const keys = new Map<string, KnownKey>();
  for (const { scope, key, body_hash, usage_event_id, occurred_at, response } of rows) {
    if (scope === null) continue;
    const known =
      usage_event_id === null
        ? { answer: response }
        : { event: { teamId: scope, id: usage_event_id, occurredAt: instant(occurred_at) } };
    keys.set(keyOf(scope, key), { bodyHash: body_hash, ...known });
  }
  return { keys, deletedUpTo: instant(first.deleted_up_to) };
}

interface GrantRow {
  id: string;
  team_id: string;
  source: GrantSource;
  business_key: string;
  effective_at: string;
  expires_at: string | null;
  debt_key: string | null;
  available: string;
  held: string;
  in_order: boolean;
}

/** Times as milliseconds, for comparisons in JavaScript. */
const grantColumns = `
  g.id, g.team_id, g.source, g.business_key, g.debt_key, g.available, g.held,
  extract(epoch from g.effective_at) * 1000 as effective_at, extract(epoch from g.expires_at) * 1000 as expires_at`;

/**
 * The first grants of each team in burn order, and the clock. The index is in burn order, so no other grant is read.
 */
async function readFirstGrants(
  client: PoolClient,
  teamIds: readonly string[],
  limit: number,
): Promise<{ now: Date; grants: GrantRow[] }> {
  const { rows } = await client.query<{ now: string } & (GrantRow | { id: null })>({
    name: 'read-first-grants',
    text: `with clock as materialized (select billing_now() as now)
           select extract(epoch from clock.now) * 1000 as now, first.*, true as in_order
             from clock
             left join (
               unnest($1::uuid[]) as team (id)
               cross join lateral (
                 select ${grantColumns}
                   from grants g
                  where g.team_id = team.id and g.open and ${expirySql('g')} > (select now from clock)
                  order by ${burnOrderSql('g')}
                  limit $2
               ) as of_team
             ) as first (team, id, team_id, source, business_key, debt_key, available, held, effective_at, expires_at) on true`,
    values: [teamIds, limit],
  });
  const [first] = rows;
  if (!first) throw new Error('the clock was not read');
  return { now: instant(first.now), grants: rows.filter((row) => row.id !== null) };
}

/** The grants on which some holds draw, in no order, and all open grants of some teams. */
async function readOtherGrants(
  client: PoolClient,
  { holds, lapsedHolds, allGrants }: Reading & { holds: readonly string[] },
): Promise<GrantRow[]> {
  if (holds.length + lapsedHolds.size + allGrants.size === 0) return [];
  const { rows } = await client.query<GrantRow>({
    name: 'read-other-grants',
    text: `select ${grantColumns}, false as in_order
             from (select unnest($1::uuid[]) as id
                   union
                   select id from holds
                    where team_id = any($2::uuid[]) and status = 'open' and expires_at <= (select billing_now())) as hold
             join hold_draws d on d.hold_id = hold.id
             join grants g on g.id = d.grant_id
            union all
           select ${grantColumns}, true from grants g where g.team_id = any($3::uuid[]) and g.open`,
    values: [holds, [...lapsedHolds], [...allGrants]],
  });
  return rows;
}

/**
 * What teams have in addition to the grants that were read: for a team in debt all its open grants, because each may
 * settle it; for other teams their sum.
 */
async function readRemainingGrants(
  client: PoolClient,
  teams: Map<string, TeamState>,
  full: readonly LockedTeam[],
  now: Date,
): Promise<void> {
  if (full.length === 0) return;
  const inDebt = full.flatMap(({ id, hasDebts }) => (hasDebts ? id : []));
  const summed = full.flatMap(({ id, hasDebts }) => (hasDebts ? [] : id));
  const [all, { rows: sums }] = await Promise.all([
    readOtherGrants(client, { holds: [], lapsedHolds: new Set(), allGrants: new Set(inDebt) }),
    client.query<{ team_id: string; available: string }>({
      name: 'sum-grants',
      text: `select g.team_id, sum(g.available) as available
               from grants g
              where g.team_id = any($1::uuid[]) and g.open and ${expirySql('g')} > $2
              group by g.team_id`,
      values: [summed, now],
    }),
  ]);
  addGrants(teams, all);
  for (const { team_id, available } of sums) {
    const team = teams.get(team_id);
    if (!team) throw new Error(`team ${team_id} was not locked`);
    team.unread = BigInt(available) - availableOf(team, now);
  }
}

/** Adds grants to their teams. A grant may occur twice: because it burns first, and because a hold draws on it. */
function addGrants(teams: Map<string, TeamState>, rows: readonly GrantRow[]): void {
  for (const [teamId, ofTeam] of Map.groupBy(rows, ({ team_id }) => team_id)) {
    const team = teams.get(teamId);
    if (!team) continue;
    const byId = new Map(team.grants.map((grant) => [grant.id, grant]));
    for (const row of ofTeam) {
      const known = byId.get(row.id);
      if (known) known.inOrder ||= row.in_order;
      else byId.set(row.id, toGrant(row));
    }
    team.grants = [...byId.values()];
  }
}

function toGrant(row: GrantRow): GrantState {
  return {
    id: row.id,
    source: row.source,
    businessKey: row.business_key,
    effectiveAt: instant(row.effective_at),
    expiresAt: row.expires_at === null ? null : instant(row.expires_at),
    debtKey: row.debt_key,
    available: BigInt(row.available),
    held: BigInt(row.held),
    inOrder: row.in_order,
  };
}

interface HoldRow extends AttributionRow {
  id: string;
  team_id: string;
  action: string;
  credits: string;
  price_version: number;
  status: HoldStatus;
  expires_at: string;
  latest_expiry: string;
  usage_event_id: string | null;
  occurred_at: string | null;
  captured: string | null;
  draws: { grantId: string; credits: string }[];
}

/** The holds that operations name, and the lapsed ones of some teams. */
async function readHolds(
  client: PoolClient,
  named: readonly string[],
  lapsedOf: ReadonlySet<string>,
): Promise<Map<string, HoldState>> {
  if (named.length === 0 && lapsedOf.size === 0) return new Map();
  const { rows } = await client.query<HoldRow>({
    name: 'read-holds',
    text: `select h.id, h.team_id, h.action, h.credits, h.price_version, h.member_id, h.api_key_id, h.run_id, h.step_id, h.tags, h.status, h.usage_event_id,
                  extract(epoch from h.expires_at) * 1000 as expires_at,
                  extract(epoch from h.latest_expiry) * 1000 as latest_expiry,
                  extract(epoch from h.occurred_at) * 1000 as occurred_at,
                  (select e.credits from usage_events e
                    where e.team_id = h.team_id and e.occurred_at = h.occurred_at and e.id = h.usage_event_id) as captured,
                  (select coalesce(json_agg(json_build_object('grantId', d.grant_id, 'credits', d.credits::text)), '[]') from hold_draws d where d.hold_id = h.id) as draws
             from (select unnest($1::uuid[]) as id
                   union
                   select id from holds
                    where team_id = any($2::uuid[]) and status = 'open' and expires_at <= (select billing_now())) as wanted
             join holds h on h.id = wanted.id`,
    values: [named, [...lapsedOf]],
  });
  return new Map(
    rows.map((row) => [
      row.id,
      {
        id: row.id,
        teamId: row.team_id,
        action: row.action,
        credits: BigInt(row.credits),
        priceVersion: row.price_version,
        ...toAttribution(row),
        status: row.status,
        expiresAt: instant(row.expires_at),
        latestExpiry: instant(row.latest_expiry),
        draws: row.draws.map(({ grantId, credits }) => ({ grantId, credits: BigInt(credits) })),
        event: captureOf(row),
        changed: null,
      },
    ]),
  );
}

/** Counts the open holds of the teams in which an operation creates a hold. It reads one index entry per open hold. */
async function countOpenHolds(
  client: PoolClient,
  operations: readonly Operation[],
): Promise<Map<string, number>> {
  const teamIds = new Set(operations.flatMap(({ kind, teamId }) => (kind === 'hold' ? [teamId] : [])));
  if (teamIds.size === 0) return new Map();
  const { rows } = await client.query<{ id: string; open: number }>({
    name: 'count-open-holds',
    text: `select t.id,
                  (select count(*) from holds h
                    where h.team_id = t.id and h.status = 'open' and h.expires_at > (select billing_now()))::int as open
             from unnest($1::uuid[]) as t (id)`,
    values: [[...teamIds]],
  });
  return new Map(rows.map(({ id, open }) => [id, open]));
}

/** The usage event that captured a hold, null if none has. */
function captureOf({
  id,
  team_id,
  usage_event_id,
  occurred_at,
  captured,
}: {
  id: string;
  team_id: string;
  usage_event_id: string | null;
  occurred_at: string | null;
  captured: string | null;
}): HoldState['event'] {
  if (usage_event_id === null) return null;
  if (occurred_at === null || captured === null)
    throw new Error(`hold ${id} was captured by usage event ${usage_event_id}, which does not exist`);
  return {
    teamId: team_id,
    id: usage_event_id,
    occurredAt: instant(occurred_at),
    credits: BigInt(captured),
  };
}

/** A consumer whose limits may apply to an operation, and for a member whether they are one. */
interface NamedConsumer {
  teamId: string;
  subject: LimitSubject;
  id: string;
}

/** The consumers of the operations, and of the holds that they end, in teams with limits; each once. */
function consumersOf(
  operations: readonly Operation[],
  holds: ReadonlyMap<string, HoldState>,
  limited: ReadonlySet<string>,
): NamedConsumer[] {
  const named = new Map<string, NamedConsumer>();
  const add = (teamId: string, subject: LimitSubject, id: string | null | undefined) => {
    if (id && limited.has(teamId)) named.set(`${teamId} ${subject} ${id}`, { teamId, subject, id });
  };
  const consumers = operations.filter((operation) => 'action' in operation);
  for (const { teamId, memberId, apiKeyId } of [...consumers, ...holds.values()]) {
    add(teamId, 'member', memberId);
    add(teamId, 'key', apiKeyId);
  }
  return [...named.values()];
}

async function readLimitedTeams(
  client: PoolClient,
  teams: Map<string, TeamState>,
  limited: ReadonlySet<string>,
): Promise<void> {
  if (limited.size === 0) return;
  const { rows } = await client.query<{
    id: string;
    limits_members: boolean;
    cycle_start: string | null;
    cycle_end: string | null;
  }>({
    name: 'read-limited-teams',
    text: `select t.id,
                  exists (select from limits l where l.team_id = t.id and l.subject = 'member' and l.active) as limits_members,
                  extract(epoch from s.current_period_start) * 1000 as cycle_start,
                  extract(epoch from s.current_period_end) * 1000 as cycle_end
             from unnest($1::uuid[]) as t (id)
             left join lateral ${currentSubscriptionSql('t.id')} s on true`,
    values: [[...limited]],
  });
  for (const { id, limits_members, cycle_start, cycle_end } of rows) {
    const team = teams.get(id);
    if (!team) continue;
    team.limitsMembers = limits_members;
    team.cycle =
      cycle_start === null || cycle_end === null
        ? null
        : { start: instant(cycle_start), end: instant(cycle_end) };
  }
}

/** By primary keys: a team may limit thousands of members, and a batch names few. */
async function readLimits(
  client: PoolClient,
  teams: Map<string, TeamState>,
  named: readonly NamedConsumer[],
): Promise<void> {
  if (named.length === 0) return;
  const { rows } = await client.query<{
    team_id: string;
    subject: LimitSubject;
    subject_id: string;
    is_member: boolean;
    credits: string | null;
    per: LimitPeriod;
    window_start: string;
    consumed: string;
    held: string;
    active: boolean;
    counter_id: string;
    total: string;
    announced_window: string | null;
  }>({
    name: 'read-limits',
    text: `select named.team_id, named.subject, named.subject_id, m.user_id is not null as is_member,
                  l.credits, l.per, l.consumed, l.held, l.active, l.counter_id, l.total, extract(epoch from l.window_start) * 1000 as window_start,
                  extract(epoch from l.announced_window) * 1000 as announced_window
             from unnest($1::uuid[], $2::text[], $3::text[]) as named (team_id, subject, subject_id)
             left join limits l on l.team_id = named.team_id and l.subject = named.subject and l.subject_id = named.subject_id
             left join members m on named.subject = 'member' and m.team_id = named.team_id and m.user_id = named.subject_id`,
    values: [
      binaryColumn('uuid', named, ({ teamId }) => teamId),
      binaryColumn('text', named, ({ subject }) => subject),
      binaryColumn('text', named, ({ id }) => id),
    ],
  });
  for (const row of rows) {
    const team = teams.get(row.team_id);
    if (!team) continue;
    if (row.is_member) team.members.add(row.subject_id);
    if (row.credits === null) continue;
    team.limits.push({
      subject: row.subject,
      subjectId: row.subject_id,
      credits: BigInt(row.credits),
      per: row.per,
      windowStart: instant(row.window_start),
      consumed: BigInt(row.consumed),
      held: BigInt(row.held),
      active: row.active,
      counterId: BigInt(row.counter_id),
      total: BigInt(row.total),
      changed: false,
      consumedMore: false,
      announcedWindow: row.announced_window === null ? null : instant(row.announced_window),
      refused: false,
    });
  }
}

async function readDebts(
  client: PoolClient,
  teams: Map<string, TeamState>,
  indebted: readonly LockedTeam[],
): Promise<void> {
  if (indebted.length === 0) return;
  const { rows } = await client.query<{
    team_id: string;
    key: string;
    lifetime: boolean;
    owed: string;
    settled: string;
  }>({
    name: 'read-debts',
    text: `select team_id, key, lifetime, owed, settled from debts
            where team_id = any($1::uuid[]) and owed > settled
            order by created_at, key`,
    values: [indebted.map(({ id }) => id)],
  });
  for (const { team_id, key, lifetime, owed, settled } of rows) {
    teams.get(team_id)?.debts.push({
      key,
      lifetime,
      owed: BigInt(owed),
      settled: BigInt(settled),
      payments: [],
      changed: false,
    });
  }
}

/** Postgres' `extract(epoch …) * 1000`, as text. */
function instant(milliseconds: string): Date {
  return new Date(Number(milliseconds));
}
