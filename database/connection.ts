import { Migrator } from '@mikro-orm/migrations';
import { type EntityManager, MikroORM, type Options } from '@mikro-orm/postgresql';
import type { Pool } from 'pg';
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
import { FirstSchema } from './migrations/0001-first-schema.ts';
import { Reconciliations } from './migrations/0002-reconciliations.ts';
import { HoldsWithoutForeignKey } from './migrations/0003-holds-without-foreign-key.ts';
import { Entitlement } from './migrations/0004-entitlement.ts';
import { ParkedEvents } from './migrations/0005-parked-events.ts';
import { LimitMarks } from './migrations/0007-limit-marks.ts';
import { ZeroAndKeyDeletions } from './migrations/0007-zero-and-key-deletions.ts';
import { People } from './migrations/0008-people.ts';
import { createMissingPartitions, isMissingPartition } from './partitions.ts';

/**
 * Nothing waits for ever, in milliseconds: a team that somebody has locked must not take the connections of all others
 * with it, nor may a host that vanished in mid-transaction keep its teams locked.
 * @see https://www.postgresql.org/docs/18/runtime-config-client.html
 */
const waits = {
  lock_timeout: 5_000,
  idle_in_transaction_session_timeout: 30_000,
  connectionTimeoutMillis: 10_000,
};

/**
 * A connection sends a statement without waiting for the answer to the one before: the hot path asks for all that it reads
 * at once. Who waits for each answer notices nothing. (`ClientConfig.pipeline` of `pg`.)
 */
const pipeline = true;

/** One process's connection to Postgres: MikroORM for all but the hot path, its pool for the hot path. */
export interface Database {
  readonly orm: MikroORM;
  /** MikroORM's own pool, for spend, holds, capture and reports. */
  readonly pool: Pool;
  /** A fresh unit of work, outside any transaction. */
  fork(): EntityManager;
  /** Runs `work` in one transaction. Makes a month's missing partitions and tries once more. No network call belongs in it. */
  transaction<T>(work: (em: EntityManager) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/**
 * Connects to Postgres.
 * @param url  `postgresql://…`
 * @param pool  most connections that this process may open
 */
export async function connectDatabase(
  url: string,
  { pool: max = 10 }: { pool?: number } = {},
): Promise<Database> {
  const orm = await MikroORM.init(ormOptions(url, max));
  const pool = await orm.em.getDriver().getConnection().getNativeClient();
  const transaction = <T>(work: (em: EntityManager) => Promise<T>): Promise<T> =>
    orm.em.fork().transactional(work);
  return {
    orm,
    pool,
    fork: () => orm.em.fork(),
    transaction: async (work) => {
      try {
        return await transaction(work);
      } catch (error) {
        if (!isMissingPartition(error)) throw error;
        await createMissingPartitions(pool);
        return transaction(work);
      }
    },
    close: () => orm.close(true),
  };
}

/** A team that this transaction has locked, and the time after that. */
export interface TeamAndTime {
  team: Team;
  now: Date;
}

/**
 * Locks the team's row, as every writer of a team's credits does before it reads, and then reads the clock. Null: there is
 * no such team.
 */
export async function lockTeam(em: EntityManager, teamId: string): Promise<TeamAndTime | null> {
  // The time is told for the row that has come out of the lock: after whatever wait there was.
  const [row] = await em.execute<{ now: Date | string }[]>(
    `with locked as materialized (select * from teams where id = ? for no key update)
     select locked.*, billing_now() as now from locked`,
    [teamId],
  );
  if (!row) return null;
  const { now, ...columns } = row;
  return { team: em.map(Team, columns), now: new Date(now) };
}

/** The one clock, in milliseconds. Who locks a team is told the time with it. */
export async function readClock(em: EntityManager): Promise<Date> {
  const [row] = await em.execute<{ now: Date | string }[]>('select billing_now() as now');
  if (!row) throw new Error('Postgres did not tell the time');
  return new Date(row.now);
}

function ormOptions(url: string, max: number): Options {
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
      ],
      snapshot: false,
      silent: true,
    },
    pool: { min: 0, max },
    driverOptions: { ...waits, pipeline },
    forceUtcTimezone: true,
    discovery: { warnWhenNoEntities: false },
  };
}
