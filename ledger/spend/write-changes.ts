import type { QueryConfig } from 'pg';
import type { Account } from '../../database/entities/transfer.ts';
import { storeMessagesStatement } from '../../outbox/messages.ts';
import type { BatchState, Changes, DebtState, MoveRow } from './batch-state.ts';
import { binaryColumn } from './binary-array.ts';

const columnsOfGrant = [
  'available',
  'held',
  'consumed',
  'expired',
  'revoked',
  'settled',
] as const satisfies readonly Account[];

/**
 * The statements that write the decisions of a batch. Keys, events, transfers and grants are one statement, for any
 * number of operations; holds, limits and debts one more each, if there are any. None needs the answer of another.
 */
export function writeChanges(changes: Changes, state: BatchState): QueryConfig[] {
  return [
    ...writeLedger(changes, state.now),
    ...writeHolds(state),
    ...writeLimits(state),
    ...writeDebts(state),
    ...writeAlerts(state),
    ...(changes.messages.length > 0 ? [storeMessagesStatement(changes.messages, state.now)] : []),
  ];
}

function writeLedger({ keys, events, moves }: Changes, now: Date): QueryConfig[] {
  if (keys.length === 0 && moves.length === 0) return [];
  const statement = {
    name: 'write-ledger',
    text: `with keys as (
             insert into idempotency_keys (scope, key, body_hash, usage_event_id, occurred_at, status, response, created_at)
             select scope, key, body_hash, usage_event_id, occurred_at, status, response, $1
               from unnest($2::text[], $3::text[], $4::bytea[], $5::uuid[], $6::timestamptz[], $7::int[], $8::jsonb[])
                 as k (scope, key, body_hash, usage_event_id, occurred_at, status, response)
           ), events as (
             insert into usage_events (team_id, occurred_at, id, recorded_at, action, lines, credits, price_version,
                                       balance_after, member_id, api_key_id, run_id, step_id, tags, hold_id, metadata)
             select team_id, occurred_at, id, $1, action, lines, credits, price_version,
                    balance_after, member_id, api_key_id, run_id, step_id, tags, hold_id, metadata
               from unnest($9::uuid[], $10::timestamptz[], $11::uuid[], $12::text[], $13::jsonb[], $14::bigint[], $15::int[],
                           $16::bigint[], $17::text[], $18::text[], $19::text[], $20::text[], $21::jsonb[], $22::uuid[], $23::jsonb[])
                 as e (team_id, occurred_at, id, action, lines, credits, price_version, balance_after, member_id, api_key_id,
                       run_id, step_id, tags, hold_id, metadata)
           ), moves as (
             insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, usage_event_id, reference)
             select team_id, $1, grant_id, kind, from_account, to_account, amount, usage_event_id, reference
               from unnest($24::uuid[], $25::uuid[], $26::text[], $27::text[], $28::text[], $29::bigint[], $30::uuid[], $31::text[])
                 as m (team_id, grant_id, kind, from_account, to_account, amount, usage_event_id, reference)
           )
           update grants g
              set available = g.available + d.available, held = g.held + d.held, consumed = g.consumed + d.consumed,
                  expired = g.expired + d.expired, revoked = g.revoked + d.revoked, settled = g.settled + d.settled
             from unnest($32::uuid[], $33::bigint[], $34::bigint[], $35::bigint[], $36::bigint[], $37::bigint[], $38::bigint[])
               as d (id, available, held, consumed, expired, revoked, settled)
            where g.id = d.id`,
    values: [
      now,
      binaryColumn('text', keys, ({ teamId }) => teamId),
      binaryColumn('text', keys, ({ key }) => key),
      binaryColumn('bytea', keys, ({ bodyHash }) => bodyHash),
      binaryColumn('uuid', keys, ({ event }) => event?.id),
      binaryColumn('timestamptz', keys, ({ event }) => event?.occurredAt),
      binaryColumn('int4', keys, ({ answer }) => answer?.status),
      binaryColumn('jsonb', keys, ({ answer }) => answer && JSON.stringify(answer.body)),

      binaryColumn('uuid', events, ({ teamId }) => teamId),
      binaryColumn('timestamptz', events, ({ occurredAt }) => occurredAt),
      binaryColumn('uuid', events, ({ receipt }) => receipt.id),
      binaryColumn('text', events, ({ receipt }) => receipt.action),
      binaryColumn('jsonb', events, ({ receipt }) => JSON.stringify(receipt.lines)),
      binaryColumn('int8', events, ({ receipt }) => receipt.credits),
      binaryColumn('int4', events, ({ receipt }) => receipt.priceVersion),
      binaryColumn('int8', events, ({ receipt }) => receipt.balance.available),
      binaryColumn('text', events, ({ memberId }) => memberId),
      binaryColumn('text', events, ({ apiKeyId }) => apiKeyId),
      binaryColumn('text', events, ({ runId }) => runId),
      binaryColumn('text', events, ({ stepId }) => stepId),
      binaryColumn('jsonb', events, ({ tags }) => tags && JSON.stringify(tags)),
      binaryColumn('uuid', events, ({ receipt }) => receipt.holdId),
      binaryColumn('jsonb', events, ({ metadata }) => metadata && JSON.stringify(metadata)),

      binaryColumn('uuid', moves, ({ teamId }) => teamId),
      binaryColumn('uuid', moves, ({ grantId }) => grantId),
      binaryColumn('text', moves, ({ kind }) => kind),
      binaryColumn('text', moves, ({ from }) => from),
      binaryColumn('text', moves, ({ to }) => to),
      binaryColumn('int8', moves, ({ amount }) => amount),
      binaryColumn('uuid', moves, ({ cause }) => ('event' in cause ? cause.event : null)),
      binaryColumn('text', moves, ({ cause }) => ('reference' in cause ? cause.reference : null)),

      ...grantDeltas(moves),
    ],
  };
  return [statement];
}

/** The change of each column of the grants, as one array per column. */
function grantDeltas(moves: readonly MoveRow[]): Buffer[] {
  const deltas = new Map<string, Partial<Record<Account, bigint>>>();
  for (const { grantId, from, to, amount } of moves) {
    const delta = deltas.get(grantId) ?? {};
    deltas.set(grantId, delta);
    delta[from] = (delta[from] ?? 0n) - amount;
    delta[to] = (delta[to] ?? 0n) + amount;
  }
  const rows = [...deltas];
  return [
    binaryColumn('uuid', rows, ([grantId]) => grantId),
    ...columnsOfGrant.map((column) => binaryColumn('int8', rows, ([, delta]) => delta[column] ?? 0n)),
  ];
}

function writeHolds({ holds, now }: BatchState): QueryConfig[] {
  const statements: QueryConfig[] = [];
  const made = [...holds.values()].filter(({ changed }) => changed === 'new');
  const changed = [...holds.values()].filter((hold) => hold.changed === 'changed');
  const draws = made.flatMap(({ id, draws }) => draws.map((draw) => ({ holdId: id, ...draw })));
  if (made.length > 0) {
    statements.push({
      name: 'make-holds',
      text: `with draws as (
               insert into hold_draws (hold_id, grant_id, credits)
               select * from unnest($17::uuid[], $18::uuid[], $19::bigint[])
             )
             insert into holds (created_at, id, team_id, action, credits, price_version, member_id, api_key_id, run_id, step_id,
                                tags, status, expires_at, latest_expiry, usage_event_id, occurred_at)
             select $1, * from unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::int[], $7::text[], $8::text[], $9::text[],
                                      $10::text[], $11::jsonb[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::uuid[],
                                      $16::timestamptz[])`,
      values: [
        now,
        binaryColumn('uuid', made, ({ id }) => id),
        binaryColumn('uuid', made, ({ teamId }) => teamId),
        binaryColumn('text', made, ({ action }) => action),
        binaryColumn('int8', made, ({ credits }) => credits),
        binaryColumn('int4', made, ({ priceVersion }) => priceVersion),
        binaryColumn('text', made, ({ memberId }) => memberId),
        binaryColumn('text', made, ({ apiKeyId }) => apiKeyId),
        binaryColumn('text', made, ({ runId }) => runId),
        binaryColumn('text', made, ({ stepId }) => stepId),
        binaryColumn('jsonb', made, ({ tags }) => tags && JSON.stringify(tags)),
        binaryColumn('text', made, ({ status }) => status),
        binaryColumn('timestamptz', made, ({ expiresAt }) => expiresAt),
        binaryColumn('timestamptz', made, ({ latestExpiry }) => latestExpiry),
        binaryColumn('uuid', made, ({ event }) => event?.id),
        binaryColumn('timestamptz', made, ({ event }) => event?.occurredAt),
        binaryColumn('uuid', draws, ({ holdId }) => holdId),
        binaryColumn('uuid', draws, ({ grantId }) => grantId),
        binaryColumn('int8', draws, ({ credits }) => credits),
      ],
    });
  }
  if (changed.length > 0) {
    statements.push({
      name: 'change-holds',
      text: `update holds h set status = c.status, expires_at = c.expires_at, usage_event_id = c.usage_event_id, occurred_at = c.occurred_at
               from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[], $5::timestamptz[])
                 as c (id, status, expires_at, usage_event_id, occurred_at)
              where h.id = c.id`,
      values: [
        binaryColumn('uuid', changed, ({ id }) => id),
        binaryColumn('text', changed, ({ status }) => status),
        binaryColumn('timestamptz', changed, ({ expiresAt }) => expiresAt),
        binaryColumn('uuid', changed, ({ event }) => event?.id),
        binaryColumn('timestamptz', changed, ({ event }) => event?.occurredAt),
      ],
    });
  }
  return statements;
}

function writeLimits({ teams, now }: BatchState): QueryConfig[] {
  const rows = [...teams].flatMap(([teamId, { limits }]) =>
    limits.filter(({ changed }) => changed).map((limit) => ({ teamId, ...limit })),
  );
  if (rows.length === 0) return [];
  const statement = {
    name: 'write-limits',
    // Another commit may have been in the same millisecond: the mark covers both.
    text: `with c as (
             select * from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $10::timestamptz[])
               as c (team_id, subject, subject_id, window_start, consumed, held, counter_id, new_total, announced_window)
           ), marks as (
             insert into limit_marks (counter_id, at, total)
             select counter_id, $9, new_total from c where new_total is not null
             on conflict (counter_id, at) do update set total = excluded.total
           )
           update limits l
              set window_start = c.window_start, consumed = c.consumed, held = c.held, total = coalesce(c.new_total, l.total),
                  announced_window = c.announced_window
             from c
            where l.team_id = c.team_id and l.subject = c.subject and l.subject_id = c.subject_id`,
    values: [
      binaryColumn('uuid', rows, ({ teamId }) => teamId),
      binaryColumn('text', rows, ({ subject }) => subject),
      binaryColumn('text', rows, ({ subjectId }) => subjectId),
      binaryColumn('timestamptz', rows, ({ windowStart }) => windowStart),
      binaryColumn('int8', rows, ({ consumed }) => consumed),
      binaryColumn('int8', rows, ({ held }) => held),
      binaryColumn('int8', rows, ({ counterId }) => counterId),
      binaryColumn('int8', rows, ({ consumedMore, total }) => (consumedMore ? total : null)),
      now,
      binaryColumn('timestamptz', rows, ({ announcedWindow }) => announcedWindow),
    ],
  };
  return [statement];
}

function writeDebts({ teams, now }: BatchState): QueryConfig[] {
  const rows = [...teams].flatMap(([teamId, { debts }]) =>
    debts.filter(({ changed }) => changed).map((debt) => ({ teamId, ...debt })),
  );
  if (rows.length === 0) return [];
  const payments = sumPayments(rows);
  const statement = {
    name: 'write-debts',
    text: `with debt as (
             select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) as d (team_id, key, owed, settled)
           ), changes as (
             insert into debt_changes (key, team_id, owed, settled, at) select key, team_id, owed, settled, $5 from debt
           ), payments as (
             insert into debt_payments (key, grant_id, credits) select * from unnest($6::text[], $7::uuid[], $8::bigint[])
                 on conflict (key, grant_id) do update set credits = debt_payments.credits + excluded.credits
           )
           update debts d set owed = debt.owed, settled = debt.settled from debt where d.key = debt.key`,
    values: [
      binaryColumn('uuid', rows, ({ teamId }) => teamId),
      binaryColumn('text', rows, ({ key }) => key),
      binaryColumn('int8', rows, ({ owed }) => owed),
      binaryColumn('int8', rows, ({ settled }) => settled),
      now,
      binaryColumn('text', payments, ({ key }) => key),
      binaryColumn('uuid', payments, ({ grantId }) => grantId),
      binaryColumn('int8', payments, ({ credits }) => credits),
    ],
  };
  return [statement];
}

/** Only for teams that crossed a threshold or got credits. */
function writeAlerts({ teams }: BatchState): QueryConfig[] {
  const rows = [...teams].flatMap(([teamId, { alerts }]) =>
    alerts.changed ? [{ teamId, ...alerts.state }] : [],
  );
  if (rows.length === 0) return [];
  const statement = {
    name: 'write-alerts',
    text: `update teams t
              set alert_base = a.base, alert_watermark = a.watermark, exhaustion_sent = a.exhaustion_sent, credits_came_in = false
             from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::boolean[]) as a (id, base, watermark, exhaustion_sent)
            where t.id = a.id`,
    values: [
      binaryColumn('uuid', rows, ({ teamId }) => teamId),
      binaryColumn('int8', rows, ({ base }) => base),
      binaryColumn('int8', rows, ({ watermark }) => watermark),
      rows.map(({ exhaustionSent }) => exhaustionSent),
    ],
  };
  return [statement];
}

/** One row for each debt and grant, because a statement cannot write one row twice. */
function sumPayments(debts: readonly DebtState[]): { key: string; grantId: string; credits: bigint }[] {
  return debts.flatMap(({ key, payments }) => {
    const sums = new Map<string, bigint>();
    for (const { grantId, credits } of payments) sums.set(grantId, (sums.get(grantId) ?? 0n) + credits);
    return [...sums].map(([grantId, credits]) => ({ key, grantId, credits }));
  });
}
