import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { receiptLine } from '../catalog/price-usage.ts';
import { readCatalog } from '../catalog/versions.ts';
import { connectDatabase } from '../database/connection.ts';
import type { GrantSource } from '../database/entities/grant.ts';
import { allocate, compareBurnOrder } from '../ledger/rules/burn-order.ts';
import type { Receipt } from '../ledger/spend/operation.ts';
import { runCallers } from './interleave.ts';
import type { Stack } from './stack.ts';
import { type BenchLedger, type Debit, makeDebit } from './workload.ts';

/**
 * Baseline L: ledgers that debit one request at a time, each on its own connection from a pool. Both forms do the same
 * work as our ledger for a request: the team's lock, the caller's key, the burn order over the open grants, the usage
 * row, the transfers, the grants, the receipt. Same tables, indexes and durability.
 */
export const rowAtATimeForms = { 'one statement': debitByStatement, 'one transaction': debitByTransaction };
export type RowAtATimeForm = keyof typeof rowAtATimeForms;

export async function openRowAtATime(
  databaseUrl: string,
  form: RowAtATimeForm,
  connections: number,
): Promise<BenchLedger> {
  const database = await connectDatabase(databaseUrl, { pool: 1 });
  const published = await readCatalog(database);
  await database.close();
  const pool = new pg.Pool({ connectionString: databaseUrl, max: connections, idleTimeoutMillis: 0 });
  pool.on('connect', (client) => client.on('error', () => {})); // the failing query reports it
  pool.on('error', () => {});
  const debit = rowAtATimeForms[form];
  return {
    async spend(teamId) {
      const client = await pool.connect();
      try {
        return await debit(client, makeDebit(teamId, published));
      } finally {
        client.release();
      }
    },
    close: () => pool.end(),
  };
}

export interface ChosenForm {
  form: RowAtATimeForm;
  connections: number;
  /** Every form and pool size that was tried, with its result. */
  tried: string[];
}

/** Tries both forms with several pool sizes. The fastest is L. */
export async function chooseRowAtATime(
  { quick, progress }: Stack,
  databaseUrl: string,
  { callers, poolSizes, pick }: { callers: number; poolSizes: readonly number[]; pick: () => string },
): Promise<ChosenForm & { acknowledged: number }> {
  let acknowledged = 0;
  return progress.step('L: the fastest row-at-a-time form', async (detail) => {
    const trials: { form: RowAtATimeForm; connections: number; perSecond: number }[] = [];
    for (const form of ['one statement', 'one transaction'] as const) {
      for (const connections of quick ? poolSizes.slice(1, 2) : poolSizes) {
        const ledger = await openRowAtATime(databaseUrl, form, connections);
        const spend = () => {
          acknowledged += 1;
          return ledger.spend(pick());
        };
        try {
          await runCallers(callers, quick ? 0.1 : 0.5, spend);
          const { perSecond } = await runCallers(callers, quick ? 0.2 : 2, spend);
          trials.push({ form, connections, perSecond });
        } finally {
          await ledger.close();
        }
      }
    }
    const [best] = trials.toSorted((a, b) => b.perSecond - a.perSecond);
    if (!best) throw new Error('no pool size was given');
    const tried = trials.map(
      ({ form, connections, perSecond }) => `${form}, ${connections} connections: ${Math.round(perSecond)}/s`,
    );
    detail(`${best.form}, ${best.connections} connections`);
    return { form: best.form, connections: best.connections, tried, acknowledged };
  });
}

/**
 * Everything in one statement, which is its own transaction. If it waits for the team's lock, its snapshot is older
 * than the lock. So it also locks the grants, which reads their current state.
 */
async function debitByStatement(client: pg.ClientBase, debit: Debit): Promise<Receipt> {
  const id = uuidv7();
  const lines = debit.priced.lines.map(receiptLine);
  const { rows } = await client.query<{ grants: StoredGrant[] | null; balance: string | null }>({
    name: 'debit-by-statement',
    text: `with clock as materialized (
             select billing_now() as now
           ), team as materialized (
             select id from teams where id = $1::uuid and deleted_at is null for no key update
           ), lots as materialized (
             select g.id, g.source, g.available, g.expires_at, g.effective_at, g.business_key
               from grants g
              where g.team_id = (select id from team) and g.open and g.available > 0
                and (g.expires_at is null or g.expires_at > (select now from clock))
                for no key update
           ), ordered as (
             select id, source, available, sum(available) over burned - available as before, sum(available) over () as total
               from lots
             window burned as (order by expires_at nulls last,
                                        array_position(array['trial', 'subscription', 'adjustment', 'purchase'], source),
                                        effective_at, business_key)
           ), draws as materialized (
             select id, source, before, least(available, $4::bigint - before)::bigint as credits, (total - $4::bigint)::bigint as balance
               from ordered
              where before < $4::bigint and total >= $4::bigint
           ), key as (
             insert into idempotency_keys (scope, key, body_hash, usage_event_id, occurred_at, created_at)
             select $1::text, $2, $3, $5, now, now from clock where exists (select from draws)
             on conflict do nothing
             returning key
           ), event as (
             insert into usage_events (team_id, occurred_at, id, recorded_at, action, lines, credits, price_version, balance_after)
             select $1, now, $5, now, $6, $7::jsonb, $4, $8, (select balance from draws limit 1) from clock, key
           ), moves as (
             insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, usage_event_id)
             select $1, now, draws.id, 'spend', 'available', 'consumed', draws.credits, $5 from clock, key, draws
           ), paid as (
             update grants g
                set available = g.available - draws.credits, consumed = g.consumed + draws.credits
               from key, draws
              where g.id = draws.id
           )
           select json_agg(json_build_object('grantId', id, 'source', source, 'credits', credits::text) order by before) as grants,
                  min(balance) as balance
             from draws, key`,
    values: [
      debit.teamId,
      debit.idempotencyKey,
      debit.bodyHash,
      debit.priced.credits,
      id,
      debit.action,
      JSON.stringify(lines),
      debit.priceVersion,
    ],
  });
  const [row] = rows;
  if (!row?.grants || row.balance === null) throw new Error('the baseline could not debit');
  const grants = row.grants.map((grant) => ({ ...grant, credits: BigInt(grant.credits) }));
  return makeReceipt(debit, id, lines, grants, BigInt(row.balance));
}

/** One transaction of prepared statements: lock, read, decide in this process, write, commit. */
async function debitByTransaction(client: pg.ClientBase, debit: Debit): Promise<Receipt> {
  const { credits } = debit.priced;
  try {
    await client.query('begin');
    const team = await client.query({
      name: 'lock-team',
      text: 'select from teams where id = $1 and deleted_at is null for no key update',
      values: [debit.teamId],
    });
    if (team.rowCount === 0) throw new Error('the baseline found no team');
    const { now, lots } = await readLots(client, debit.teamId);
    const { draws, short } = allocate(lots, credits);
    if (short > 0n) throw new Error('the baseline could not debit');

    const id = uuidv7();
    const lines = debit.priced.lines.map(receiptLine);
    const balance = lots.reduce((total, lot) => total + lot.available, 0n) - credits;
    const written = await client.query({
      name: 'write-debit',
      text: `with key as (
               insert into idempotency_keys (scope, key, body_hash, usage_event_id, occurred_at, created_at)
               values ($1::uuid::text, $2, $3, $4, $5, $5)
               on conflict do nothing
               returning key
             ), event as (
               insert into usage_events (team_id, occurred_at, id, recorded_at, action, lines, credits, price_version, balance_after)
               select $1, $5, $4, $5, $6, $7::jsonb, $8, $9, $10 from key
             ), draws as (
               select * from unnest($11::uuid[], $12::bigint[]) as d (grant_id, credits)
             ), moves as (
               insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, usage_event_id)
               select $1, $5, grant_id, 'spend', 'available', 'consumed', credits, $4 from key, draws
             )
             update grants g
                set available = g.available - d.credits, consumed = g.consumed + d.credits
               from key, draws d
              where g.id = d.grant_id`,
      values: [
        debit.teamId,
        debit.idempotencyKey,
        debit.bodyHash,
        id,
        now,
        debit.action,
        JSON.stringify(lines),
        credits,
        debit.priceVersion,
        balance,
        draws.map(({ lot }) => lot.id),
        draws.map((draw) => draw.credits),
      ],
    });
    if (written.rowCount === 0) throw new Error('the baseline had seen the key before');
    await client.query('commit');
    const grants = draws.map(({ lot, credits }) => ({ grantId: lot.id, source: lot.source, credits }));
    return makeReceipt(debit, id, lines, grants, balance);
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

interface StoredGrant {
  grantId: string;
  source: GrantSource;
  credits: string;
}

async function readLots(client: pg.ClientBase, teamId: string) {
  const { rows } = await client.query<{
    now: Date;
    id: string;
    source: GrantSource;
    business_key: string;
    available: string;
    effective_at: Date;
    expires_at: Date | null;
  }>({
    name: 'read-lots',
    text: `with clock as materialized (select billing_now() as now)
           select clock.now, g.id, g.source, g.business_key, g.available, g.effective_at, g.expires_at
             from clock, grants g
            where g.team_id = $1 and g.open and g.available > 0 and (g.expires_at is null or g.expires_at > clock.now)`,
    values: [teamId],
  });
  const lots = rows.map((row) => ({
    id: row.id,
    source: row.source,
    businessKey: row.business_key,
    available: BigInt(row.available),
    effectiveAt: row.effective_at,
    expiresAt: row.expires_at,
  }));
  return { now: rows[0]?.now, lots: lots.sort(compareBurnOrder) };
}

function makeReceipt(
  { action, priced, priceVersion }: Debit,
  id: string,
  lines: Receipt['lines'],
  grants: Receipt['grants'],
  available: bigint,
): Receipt {
  const { credits } = priced;
  return { id, action, credits, lines, grants, priceVersion, holdId: null, balance: { available } };
}
