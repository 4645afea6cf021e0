import type { Pool, PoolClient } from 'pg';
import type { GrantSource } from '../database/entities/grant.ts';
import { createMissingPartitions, isMissingPartition } from '../database/partitions.ts';
import { compareBurnOrder } from './burn-order.ts';
import {
  decideSpends,
  type KnownKey,
  keyOf,
  type LedgerStanding,
  type SpendOutcome,
  type TeamStanding,
} from './decide-spends.ts';
import type { EventLocation, Spend } from './spend.ts';

/** The commit was sent and its answer was lost: whether it happened must be read back (`readBackSpends`). */
export class OutcomeUnknown extends Error {}

/**
 * Debits many spends in one short transaction: lock their teams, read, decide, write, commit. Returns after the
 * commit is durable.
 *
 * @param wait  whether to wait for teams that are locked elsewhere; if not, their spends are left undecided
 * @param keysKept  how long callers' keys are kept, in milliseconds
 * @returns one outcome for each spend, in order; null where its team's lock is held elsewhere and `wait` is false
 * @throws OutcomeUnknown where the connection was lost during the commit
 */
export async function commitSpends(
  pool: Pool,
  spends: readonly Spend[],
  { wait, keysKept }: { wait: boolean; keysKept: number },
): Promise<(SpendOutcome | null)[]> {
  const attempt = () => inTransaction(pool, (client) => debit(client, spends, wait, keysKept));
  try {
    return await attempt();
  } catch (error) {
    if (!isMissingPartition(error)) throw error;
    await createMissingPartitions(pool);
    return attempt();
  }
}

async function debit(
  client: PoolClient,
  spends: readonly Spend[],
  wait: boolean,
  keysKept: number,
): Promise<(SpendOutcome | null)[]> {
  const teamIds = [...new Set(spends.map((spend) => spend.teamId))];
  const locked = await lockTeams(client, teamIds, wait);
  const undecided = wait
    ? new Set<string>()
    : await existing(
        client,
        teamIds.filter((id) => !locked.has(id)),
      );
  const decidable = spends.filter((spend) => !undecided.has(spend.teamId));

  const standing = await readStanding(client, locked, decidable, keysKept);
  const decided = decideSpends(decidable, standing);
  await write(client, decidable, decided, standing.now);

  let next = 0;
  return spends.map((spend) => (undecided.has(spend.teamId) ? null : (decided[next++] ?? null)));
}

/**
 * What became of spends whose commit lost its answer. Behind their teams' locks that transaction is over, one way or
 * the other, so what the keys say is final: the event that was written, or null where nothing was.
 */
export async function readBackSpends(
  pool: Pool,
  spends: readonly Spend[],
): Promise<(EventLocation | null)[]> {
  return inTransaction(pool, async (client) => {
    await lockTeams(client, [...new Set(spends.map((spend) => spend.teamId))], true);
    const keys = await readKeys(client, spends);
    return spends.map((spend) => {
      const known = keys.get(keyOf(spend));
      return known?.bodyHash.equals(spend.bodyHash) ? known.event : null;
    });
  });
}

/** Locks in id order, as every writer does. `skip locked` never waits, so that one busy team stalls nobody else. */
async function lockTeams(
  client: PoolClient,
  teamIds: string[],
  wait: boolean,
): Promise<Map<string, TeamStanding>> {
  const { rows } = await client.query<{ id: string; deleted: boolean }>({
    name: wait ? 'lock-teams' : 'lock-free-teams',
    text: `select id, deleted_at is not null as deleted
             from teams
            where id = any($1::uuid[])
            order by id
              for no key update ${wait ? '' : 'skip locked'}`,
    values: [teamIds],
  });
  return new Map(rows.map(({ id, deleted }) => [id, { deleted, lots: [] }]));
}

/** Which of the teams that could not be locked there are: those are locked elsewhere, the others unknown. */
async function existing(client: PoolClient, teamIds: string[]): Promise<Set<string>> {
  if (teamIds.length === 0) return new Set();
  const { rows } = await client.query<{ id: string }>('select id from teams where id = any($1::uuid[])', [
    teamIds,
  ]);
  return new Set(rows.map(({ id }) => id));
}

interface LotRow {
  now: string;
  id: string | null;
  team_id: string;
  source: GrantSource;
  business_key: string;
  available: string;
  effective_at: string;
  expires_at: string | null;
}

async function readStanding(
  client: PoolClient,
  teams: Map<string, TeamStanding>,
  spends: readonly Spend[],
  keysKept: number,
): Promise<LedgerStanding> {
  // Both are sent before either is awaited. After the lock: what they see, nobody can change before the commit.
  const lotsRead = client.query<LotRow>({
    name: 'read-lots',
    // Times as milliseconds: what JavaScript compares. The partial index grants_open finds a team's few open
    // grants, however many it had before.
    text: `with clock as materialized (select billing_now() as now)
           select extract(epoch from clock.now) * 1000 as now,
                  g.id, g.team_id, g.source, g.business_key, g.available,
                  extract(epoch from g.effective_at) * 1000 as effective_at,
                  extract(epoch from g.expires_at) * 1000 as expires_at
             from clock
             left join grants g
               on g.team_id = any($1::uuid[]) and g.open and g.available > 0
              and (g.expires_at is null or g.expires_at > clock.now)`,
    values: [[...teams.keys()]],
  });
  const [lots, keys] = await Promise.all([lotsRead, readKeys(client, spends)]);

  for (const row of lots.rows) {
    if (row.id === null) continue;
    teams.get(row.team_id)?.lots.push({
      id: row.id,
      source: row.source,
      businessKey: row.business_key,
      available: BigInt(row.available),
      effectiveAt: new Date(Number(row.effective_at)),
      expiresAt: row.expires_at === null ? null : new Date(Number(row.expires_at)),
    });
  }
  for (const team of teams.values()) team.lots.sort(compareBurnOrder);

  return { now: new Date(Number(lots.rows[0]?.now)), teams, keys, keysKept };
}

async function readKeys(client: PoolClient, spends: readonly Spend[]): Promise<Map<string, KnownKey>> {
  const { rows } = await client.query<{
    scope: string;
    key: string;
    body_hash: Buffer;
    usage_event_id: string | null;
    occurred_at: string;
  }>({
    name: 'read-keys',
    text: `select k.scope, k.key, k.body_hash, k.usage_event_id, extract(epoch from k.occurred_at) * 1000 as occurred_at
             from unnest($1::text[], $2::text[]) as sent (scope, key)
             join idempotency_keys k on k.scope = sent.scope and k.key = sent.key`,
    values: [spends.map((spend) => spend.teamId), spends.map((spend) => spend.idempotencyKey)],
  });
  const keys = new Map<string, KnownKey>();
  for (const { scope, key, body_hash, usage_event_id, occurred_at } of rows) {
    if (usage_event_id === null)
      throw new Error(`idempotency key ${key} of team ${scope} belongs to no usage event`);
    const event = { teamId: scope, id: usage_event_id, occurredAt: new Date(Number(occurred_at)) };
    keys.set(keyOf({ teamId: scope, idempotencyKey: key }), { bodyHash: body_hash, event });
  }
  return keys;
}

/** Keys, events, transfers and grants in one statement: one round trip, whatever the number of spends. */
async function write(
  client: PoolClient,
  spends: readonly Spend[],
  outcomes: readonly SpendOutcome[],
  now: Date,
): Promise<void> {
  const events: unknown[][] = [];
  const moves: unknown[][] = [];
  const drained = new Map<string, bigint>();
  for (const [index, spend] of spends.entries()) {
    const outcome = outcomes[index];
    if (outcome?.kind !== 'debited') continue;
    const { receipt, occurredAt } = outcome;
    events.push([
      spend.teamId,
      spend.idempotencyKey,
      spend.bodyHash,
      occurredAt,
      receipt.id,
      receipt.action,
      JSON.stringify(receipt.lines),
      receipt.credits,
      receipt.priceVersion,
      receipt.balance.available,
      spend.memberId ?? null,
      spend.apiKeyId ?? null,
      spend.metadata ? JSON.stringify(spend.metadata) : null,
    ]);
    for (const { grantId, credits } of receipt.grants) {
      moves.push([spend.teamId, grantId, credits, receipt.id]);
      drained.set(grantId, (drained.get(grantId) ?? 0n) + credits);
    }
  }
  if (drained.size === 0) return;

  await client.query({
    name: 'write-spends',
    text: `with event as (
             select * from unnest($1::uuid[], $2::text[], $3::bytea[], $4::timestamptz[], $5::uuid[], $6::text[], $7::text[],
                                  $8::bigint[], $9::int[], $10::bigint[], $11::text[], $12::text[], $13::text[])
                 as e (team_id, key, body_hash, occurred_at, id, action, lines, credits, price_version, balance_after,
                       member_id, api_key_id, metadata)
           ), keys as (
             insert into idempotency_keys (scope, key, body_hash, usage_event_id, occurred_at, created_at)
             select team_id, key, body_hash, id, occurred_at, $20 from event
           ), events as (
             insert into usage_events (team_id, occurred_at, id, recorded_at, action, lines, credits, price_version,
                                       balance_after, member_id, api_key_id, metadata)
             select team_id, occurred_at, id, $20, action, lines::jsonb, credits, price_version,
                    balance_after, member_id, api_key_id, metadata::jsonb
               from event
           ), moves as (
             insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, usage_event_id)
             select team_id, $20, grant_id, 'spend', 'available', 'consumed', amount, usage_event_id
               from unnest($14::uuid[], $15::uuid[], $16::bigint[], $17::uuid[]) as m (team_id, grant_id, amount, usage_event_id)
           )
           update grants g
              set available = g.available - drained.amount, consumed = g.consumed + drained.amount
             from unnest($18::uuid[], $19::bigint[]) as drained (id, amount)
            where g.id = drained.id`,
    values: [...columns(events, 13), ...columns(moves, 4), [...drained.keys()], [...drained.values()], now],
  });
}

/** Rows as one array a column, which is how `unnest` takes them. */
function columns(rows: readonly (readonly unknown[])[], width: number): unknown[][] {
  return Array.from({ length: width }, (_, column) => rows.map((row) => row[column]));
}

async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let usable = true;
  try {
    await client.query('begin');
    let result: T;
    try {
      result = await work(client);
    } catch (error) {
      await client.query('rollback').catch(() => {
        usable = false;
      });
      throw error;
    }
    try {
      await client.query('commit');
    } catch (error) {
      usable = false;
      throw new OutcomeUnknown('the connection was lost during the commit', { cause: error });
    }
    return result;
  } finally {
    client.release(!usable);
  }
}
