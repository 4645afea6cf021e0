import type { Pool, PoolClient } from 'pg';
import type { GrantSource } from '../../database/entities/grant.ts';
import type { HoldStatus } from '../../database/entities/hold.ts';
import type { Tags } from '../../database/entities/usage-event.ts';
import { readSnapshot } from '../../database/pool-transaction.ts';
import type { ReadHold } from './list-holds.ts';
import { type ListedUsageEvent, listUsageEvents } from './list-usage-events.ts';

/** The statement of a workflow run. Credits in micro-credits. */
export interface RunStatement {
  /** Of the whole run, whatever the page. */
  credits: bigint;
  events: number;
  /** The grants that paid for the run, in order of their ids. */
  grants: { grantId: string; source: GrantSource; credits: bigint }[];
  /** The run's holds, open ones first, then the newest; at most `mostHolds`. */
  holds: ReadHold[];
  /** The steps with receipts on this page, the step with the newest receipt first. */
  steps: RunStep[];
  /** Null on the last page. */
  nextCursor: string | null;
}

export interface RunStep {
  /** Null: usage of the run that names no step. */
  stepId: string | null;
  /** Of the whole step, whatever the page. */
  credits: bigint;
  events: number;
  /** Those on this page, newest first. */
  receipts: ListedUsageEvent[];
}

const mostHolds = 100;

/**
 * What a run has consumed so far. Every event and hold of the run is found by index. A run without usage has
 * consumed 0, because we do not know which runs exist.
 * @throws DomainError `invalid_cursor`
 */
export async function readRun(
  pool: Pool,
  teamId: string,
  runId: string,
  page: { limit: number; cursor?: string | undefined },
): Promise<RunStatement> {
  return readSnapshot(pool, async (client) => {
    const { data, nextCursor } = await listUsageEvents(client, teamId, page, { run: runId });
    const [sums, grants, holds] = await Promise.all([
      sumSteps(client, teamId, runId),
      sumGrants(client, teamId, runId),
      listHolds(client, teamId, runId),
    ]);
    const steps = [...Map.groupBy(data, ({ stepId }) => stepId)].map(([stepId, receipts]) => {
      const sum = sums.find((step) => step.stepId === stepId);
      if (!sum) throw new Error(`step ${stepId} of run ${runId} has receipts and no sum`);
      return { ...sum, receipts };
    });
    return {
      credits: sums.reduce((total, { credits }) => total + credits, 0n),
      events: sums.reduce((total, { events }) => total + events, 0),
      grants,
      holds,
      steps,
      nextCursor,
    };
  });
}

async function sumSteps(
  client: PoolClient,
  teamId: string,
  runId: string,
): Promise<Omit<RunStep, 'receipts'>[]> {
  const { rows } = await client.query<{ step_id: string | null; credits: string; events: string }>(
    `select step_id, sum(credits) as credits, count(*) as events
       from usage_events
      where team_id = $1 and run_id = $2
      group by step_id`,
    [teamId, runId],
  );
  return rows.map((row) => ({
    stepId: row.step_id,
    credits: BigInt(row.credits),
    events: Number(row.events),
  }));
}

async function sumGrants(client: PoolClient, teamId: string, runId: string): Promise<RunStatement['grants']> {
  const { rows } = await client.query<{ grant_id: string; source: GrantSource; credits: string }>(
    // A transfer has its event's recorded_at, so it is found by primary key. `offset 0` keeps Postgres from joining
    // with all transfers of the team.
    `select paid.grant_id, g.source, paid.credits
       from (select t.grant_id, sum(t.amount) as credits
               from usage_events e
               cross join lateral (select grant_id, amount from transfers
                                    where team_id = e.team_id and at = e.recorded_at and usage_event_id = e.id
                                      and to_account = 'consumed'
                                   offset 0) t
              where e.team_id = $1 and e.run_id = $2
              group by t.grant_id) paid
       join grants g on g.id = paid.grant_id
      order by paid.grant_id`,
    [teamId, runId],
  );
  return rows.map((row) => ({ grantId: row.grant_id, source: row.source, credits: BigInt(row.credits) }));
}

async function listHolds(client: PoolClient, teamId: string, runId: string): Promise<ReadHold[]> {
  const { rows } = await client.query<{
    id: string;
    action: string;
    credits: string;
    status: HoldStatus;
    member_id: string | null;
    api_key_id: string | null;
    step_id: string | null;
    tags: Tags | null;
    created_at: string;
    expires_at: string;
  }>(
    `select id, action, credits, member_id, api_key_id, step_id, tags,
            case when status = 'open' and expires_at <= now.at then 'lapsed' else status end as status,
            extract(epoch from created_at) * 1000 as created_at, extract(epoch from expires_at) * 1000 as expires_at
       from holds, (select billing_now() as at) as now
      where team_id = $1 and run_id = $2
      order by (status = 'open' and expires_at > now.at) desc, id desc
      limit $3`,
    [teamId, runId, mostHolds],
  );
  return rows.map((row) => ({
    id: row.id,
    teamId,
    action: row.action,
    credits: BigInt(row.credits),
    status: row.status,
    memberId: row.member_id,
    apiKeyId: row.api_key_id,
    runId,
    stepId: row.step_id,
    tags: row.tags,
    createdAt: new Date(Number(row.created_at)),
    expiresAt: new Date(Number(row.expires_at)),
  }));
}
