import { Migrator } from '@mikro-orm/migrations';
import { type EntityManager, type EntityName, MikroORM, type Options } from '@mikro-orm/postgresql';
import type { Pool, PoolClient } from 'pg';
import { checkApplicationRole } from './check-application-role.ts';
import { Adjustment } from './entities/adjustment.ts';
import { AuditEvent } from './entities/audit-event.ts';
import { CatalogVersion } from './entities/catalog-version.ts';
import { Debt } from './entities/debt.ts';
import { DebtChange } from './entities/debt-change.ts';
import { DebtPayment } from './entities/debt-payment.ts';
import { Grant } from './entities/grant.ts';
import { GrantExpiryChange } from './entities/grant-expiry-change.ts';
import { Hold } from './entities/hold.ts';
import { HoldDraw } from './entities/hold-draw.ts';
import { IdempotencyKey } from './entities/idempotency-key.ts';
import { InboxEvent } from './entities/inbox-event.ts';
import { Invitation } from './entities/invitation.ts';
import { Limit } from './entities/limit.ts';
import { Member } from './entities/member.ts';
import { Order } from './entities/order.ts';
import { OrderLine } from './entities/order-line.ts';
import { PolarPrice } from './entities/polar-price.ts';
import { PolarProduct } from './entities/polar-product.ts';
import { Reconciliation } from './entities/reconciliation.ts';
import { ServiceKey } from './entities/service-key.ts';
import { Subscription } from './entities/subscription.ts';
import { SubscriptionPeriod } from './entities/subscription-period.ts';
import { Team } from './entities/team.ts';
import { Transfer } from './entities/transfer.ts';
import { TrialClaim } from './entities/trial-claim.ts';
import { UsageEvent } from './entities/usage-event.ts';
import { User } from './entities/user.ts';
import { readOnlyServer } from './errors.ts';
import { FirstSchema } from './migrations/0001-first-schema.ts';
import { Reconciliations } from './migrations/0002-reconciliations.ts';
import { HoldsWithoutForeignKey } from './migrations/0003-holds-without-foreign-key.ts';
import { Entitlement } from './migrations/0004-entitlement.ts';
import { ParkedEvents } from './migrations/0005-parked-events.ts';
import { LimitMarks } from './migrations/0007-limit-marks.ts';
import { ZeroAndKeyDeletions } from './migrations/0007-zero-and-key-deletions.ts';
import { People } from './migrations/0008-people.ts';
import { ClosedMonths } from './migrations/0009-closed-months.ts';
import { Links } from './migrations/0010-links.ts';
import { GrantsInBurnOrder } from './migrations/0011-grants-in-burn-order.ts';
import { WaitingAndHandledEvents } from './migrations/0012-waiting-and-handled-events.ts';
import { RunsAndTags } from './migrations/0014-runs-and-tags.ts';
import { Activity } from './migrations/0015-activity.ts';
import { UsageDays } from './migrations/0015-usage-days.ts';
import { Alerts } from './migrations/0016-alerts.ts';
import { WebhookEndpoints } from './migrations/0017-webhook-endpoints.ts';
import { ServiceKeyLife } from './migrations/0019-service-key-life.ts';
import { Emails } from './migrations/0020-emails.ts';
import { OutboxPruning } from './migrations/0020-outbox-pruning.ts';
import { Sessions } from './migrations/0021-sessions.ts';
import { PackedUsageDays } from './migrations/0022-packed-usage-days.ts';
import { BalanceDays } from './migrations/0023-balance-days.ts';
import { observePool } from './observe-pool.ts';
import { createMissingPartitions, isMissingPartition } from './partitions.ts';
import { inPipelinedTransaction } from './pipelined-transaction.ts';
import { preparedStatement } from './prepared-statement.ts';
import { checkSession, startupOptions } from './session-settings.ts';
import { watchPool } from './watch-pool.ts';

/** The maximum time for opening a connection, and for waiting for a free one in a pool. */
const connectTimeoutMs = 5_000;
/** TCP keepalive notices a connection that the network has dropped silently, even if nothing is sent. */
const keepAliveDelayMs = 10_000;
/** How much longer than Postgres' own timeout we wait for a statement before we treat its connection as dead. */
const silenceMs = 2_000;

/**
 * A connection sends a statement without waiting for the previous answer, so the hot path sends all its reads at once.
 * Callers that wait for each answer see no difference. (`ClientConfig.pipeline` of `pg`.) With it, a statement without
 * an answer in time (`query_timeout`) closes its connection, so that no later statement waits behind it.
 */
const pipeline = true;

/**
 * The API's separate pools, so that no kind of work can use the connections of another. `connections` is the pool's
 * maximum, and no statement runs longer than `statementTimeoutMs`.
 */
const apiLanes = {
  spending: { connections: 8, statementTimeoutMs: 8_000 },
  authentication: { connections: 3, statementTimeoutMs: 3_000 },
  reads: { connections: 6, statementTimeoutMs: 10_000 },
  administration: { connections: 10, statementTimeoutMs: 20_000 },
} as const;

/** The use of one of the API's connections. `administration` is for everything else. */
export type Lane = keyof typeof apiLanes;

/** Connected in this order. */
export const lanes = [
  'spending',
  'authentication',
  'reads',
  'administration',
] as const satisfies readonly Lane[];

/** Executes SQL with `?` for each value: an EntityManager in its transaction, or `Database` outside of one. */
export interface Executor {
  execute<Rows extends object[]>(sql: string, values?: unknown[]): Promise<Rows>;
}

/** One process's connection to Postgres: MikroORM for everything except the hot path, its pool for the hot path. */
export interface Database {
  readonly orm: MikroORM;
  /** MikroORM's own pool, for spend, holds, capture and reports. */
  readonly pool: Pool;
  /** The same database with the connections of one lane. Without lanes, with the only pool. */
  lane(name: Lane): Database;
  /** A new unit of work, outside any transaction. */
  fork(): EntityManager;
  /**
   * Executes one statement outside any transaction. Each connection prepares it once, because Postgres takes longer to
   * parse and plan a statement than to execute it. Only for constant SQL.
   */
  execute: Executor['execute'];
  /** Runs `work` in one transaction. Creates missing partitions and retries once. `work` must make no network call. */
  transaction<T>(work: (em: EntityManager) => Promise<T>): Promise<T>;
  /**
   * As `transaction`, under the team's lock and with few round trips (`inPipelinedTransaction`): `read` is sent in one
   * packet with the lock, after it. `locked` is null if there is no such team.
   */
  teamTransaction<R, T>(
    teamId: string,
    read: (em: EntityManager) => Promise<R>,
    work: (em: EntityManager, locked: TeamAndTime | null, read: R) => Promise<T>,
  ): Promise<T>;
  /**
   * Whether Postgres answers on these connections and can be written to. If all connections are in use, a connection
   * that a caller gave back lately is the proof.
   */
  isUsable(): Promise<boolean>;
  /** Closes the connections of all lanes. */
  close(): Promise<void>;
}

/**
 * Connects to Postgres, with one pool for everything.
 * @param url  `postgresql://…`
 * @param pool  the maximum number of connections of this process
 * @param statementTimeoutMs  no statement runs longer, and we wait only a little longer for its answer
 * @param name  the pool's name in metrics
 * @param checkRole  refuses a role that may change the schema or history
 * @throws DomainError `database_misconfigured` for such a role
 */
export async function connectDatabase(
  url: string,
  {
    pool = 10,
    statementTimeoutMs = 900_000,
    name = 'default',
    checkRole = false,
  }: { pool?: number; statementTimeoutMs?: number; name?: string; checkRole?: boolean } = {},
): Promise<Database> {
  const database = await connectLane(url, { connections: pool, statementTimeoutMs, name }, (own) => own);
  return checkRole ? checked(database) : database;
}

/** Closes a database whose role may do too much. @throws DomainError `database_misconfigured` */
async function checked(database: Database): Promise<Database> {
  try {
    await checkApplicationRole(database.pool);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

/**
 * Connects to Postgres with a pool for each kind of work of the API, so that too many requests of one kind cannot
 * block another. Returns the lane `administration`.
 * @param checkRole  refuses a role that may change the schema or history
 * @throws DomainError `database_misconfigured` for such a role
 */
export async function connectDatabaseWithLanes(
  url: string,
  { checkRole = false }: { checkRole?: boolean } = {},
): Promise<Database> {
  const find = (name: Lane): Database => {
    const found = connected.get(name);
    if (!found) throw new Error(`the lane ${name} is not connected yet`);
    return found;
  };
  const close = async () => void (await Promise.all([...closers].map((closeOne) => closeOne())));
  const closers: (() => Promise<void>)[] = [];
  const connected = new Map<Lane, Database>();
  for (const name of lanes) {
    const lane = await connectLane(url, { ...apiLanes[name], name }, (_own, other) => find(other));
    closers.push(lane.close);
    connected.set(name, { ...lane, close });
  }
  const database = find('administration');
  return checkRole ? checked(database) : database;
}

async function connectLane(
  url: string,
  { name, ...limits }: { connections: number; statementTimeoutMs: number; name: string },
  lane: (own: Database, name: Lane) => Database,
): Promise<Database> {
  const orm = await MikroORM.init(ormOptions(url, limits));
  const pool = await orm.em.getDriver().getConnection().getNativeClient();
  const stopObserving = observePool(name, pool);
  const lockSql = lockTeamSql(orm.em);
  const transaction = <T>(work: (em: EntityManager) => Promise<T>): Promise<T> =>
    orm.em.fork().transactional(work);
  const own: Database = {
    orm,
    pool,
    lane: (name) => lane(own, name),
    fork: () => orm.em.fork(),
    execute: async <Rows extends object[]>(sql: string, values: unknown[] = []) => {
      const { rows } = await pool.query<Rows[number]>(preparedStatement(sql, values));
      return rows as Rows;
    },
    transaction: (work) => withPartitions(pool, () => transaction(work)),
    teamTransaction: (teamId, read, work) =>
      withPartitions(pool, () =>
        inPipelinedTransaction(orm, pool, preparedStatement(lockSql, [teamId]), async (em, first) => {
          const [{ rows }, found] = await Promise.all([first, read(em)]);
          return work(em, toTeamAndTime(em, rows[0]), found);
        }),
      ),
    isUsable: watchPool(pool, limits),
    close: () => {
      stopObserving();
      return orm.close(true);
    },
  };
  return own;
}

/** Runs a transaction. If it fails because a month has no partition yet, creates the missing ones and runs it once more. */
export async function withPartitions<T>(pool: Pool, transaction: () => Promise<T>): Promise<T> {
  try {
    return await transaction();
  } catch (error) {
    if (!isMissingPartition(error)) throw error;
    await createMissingPartitions(pool);
    return transaction();
  }
}

/**
 * If one connection is lost, the others are probably lost too. So idle ones are closed as well, and callers need not
 * wait for a timeout on each of them. A server that has become a standby is left at once.
 *
 * A lost connection that is in use goes back to the pool here: Kysely does not release it if `begin`, `commit` or `rollback`
 * fails, so the pool would have one place less for ever.
 */
function giveUpLostConnections(pool: Pool): void {
  const idle = new Set<PoolClient>();
  const inUse = new Set<PoolClient>();
  pool.on('acquire', (client) => {
    idle.delete(client);
    inUse.add(client);
  });
  pool.on('release', (_error, client) => {
    inUse.delete(client);
    idle.add(client);
  });
  pool.on('remove', (client) => void idle.delete(client));
  pool.on('connect', (client) => {
    const { connection } = client;
    connection.on('errorMessage', ({ code }: { code?: string }) => {
      if (code === readOnlyServer) connection.stream.destroy();
    });
    client.on('error', () => {
      for (const other of idle) if (other !== client) other.connection.stream.destroy();
      idle.clear();
    });
    client.once('end', () => {
      if (!inUse.has(client)) return;
      client.release(true);
      client.release = () => {}; // its user may release it too, and the pool allows that once
    });
  });
}

/** A team that this transaction has locked, and the time after the lock. */
export interface TeamAndTime {
  team: Team;
  now: Date;
}

/**
 * Locks the team's row, which every writer of a team's credits does before it reads, and then reads the clock. Null if
 * there is no such team.
 */
export async function lockTeam(em: EntityManager, teamId: string): Promise<TeamAndTime | null> {
  const [row] = await em.execute<LockedRow[]>(lockTeamSql(em), [teamId]);
  return toTeamAndTime(em, row);
}

interface LockedRow {
  now: Date | string;
}

/** The time is computed for the locked row, so it is the time after any wait for the lock. */
function lockTeamSql(em: EntityManager): string {
  return `with locked as materialized (select * from teams where id = ? for no key update)
          select ${listColumns(em, Team, 'locked')}, billing_now() as now from locked`;
}

function toTeamAndTime(em: EntityManager, row: LockedRow | undefined): TeamAndTime | null {
  if (!row) return null;
  const { now, ...columns } = row;
  return { team: em.map(Team, columns), now: new Date(now) };
}

/**
 * The columns of an entity as SQL: `orders.id, orders.team_id, …`. Prepared statements name their columns, because one
 * with `*` fails after a migration adds a column ("cached plan must not change result type").
 *
 * @param table  the name or alias of the table in the statement
 */
export function listColumns(em: EntityManager, entity: EntityName, table: string): string {
  return em
    .getMetadata()
    .get(entity)
    .props.flatMap(({ fieldNames }) => fieldNames ?? [])
    .map((name) => `${table}.${name}`)
    .join(', ');
}

/** The one clock, in milliseconds. `lockTeam` also returns the time. */
export async function readClock(em: EntityManager): Promise<Date> {
  const [row] = await em.execute<{ now: Date | string }[]>('select billing_now() as now');
  if (!row) throw new Error('Postgres returned no time');
  return new Date(row.now);
}

function ormOptions(
  url: string,
  { connections, statementTimeoutMs }: { connections: number; statementTimeoutMs: number },
): Options {
  return {
    clientUrl: url,
    entities: [
      Adjustment,
      AuditEvent,
      CatalogVersion,
      Debt,
      DebtChange,
      DebtPayment,
      Grant,
      GrantExpiryChange,
      Hold,
      HoldDraw,
      IdempotencyKey,
      InboxEvent,
      Invitation,
      Limit,
      Member,
      Order,
      OrderLine,
      PolarPrice,
      PolarProduct,
      Reconciliation,
      ServiceKey,
      Subscription,
      SubscriptionPeriod,
      Team,
      Transfer,
      TrialClaim,
      UsageEvent,
      User,
    ],
    extensions: [Migrator],
    migrations: {
      migrationsList: [
        FirstSchema,
        Reconciliations,
        HoldsWithoutForeignKey,
        Entitlement,
        ParkedEvents,
        ZeroAndKeyDeletions,
        LimitMarks,
        People,
        ClosedMonths,
        Links,
        GrantsInBurnOrder,
        WaitingAndHandledEvents,
        RunsAndTags,
        UsageDays,
        Activity,
        Alerts,
        WebhookEndpoints,
        ServiceKeyLife,
        Emails,
        OutboxPruning,
        Sessions,
        PackedUsageDays,
        BalanceDays,
      ],
      snapshot: false,
      silent: true,
    },
    pool: { min: 0, max: connections },
    driverOptions: {
      options: startupOptions(statementTimeoutMs),
      query_timeout: statementTimeoutMs + silenceMs,
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveDelayMs,
      pipeline,
      onConnect: checkSession,
      onPoolCreated: giveUpLostConnections,
    },
    forceUtcTimezone: true,
    discovery: { warnWhenNoEntities: false },
  };
}
