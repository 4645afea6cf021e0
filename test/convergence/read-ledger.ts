import type { Pool } from 'pg';

/**
 * A team's grants and their state, and its orders and subscriptions as we know them, by business key. Polar's ids are
 * replaced by their position among the team's own, so that two teams can be compared. Micro-credits and cents.
 */
export interface TeamLedger {
  grants: Map<string, LedgerGrant>;
  orders: Map<string, LedgerOrder>;
  /** By their keys. */
  debts: Map<string, { owed: bigint; settled: bigint }>;
  subscriptions: Map<string, LedgerSubscription>;
}

export interface LedgerGrant {
  source: string;
  debtKey: string | null;
  order: string | null;
  subscription: string | null;
  product: string | null;
  granted: bigint;
  available: bigint;
  held: bigint;
  consumed: bigint;
  expired: bigint;
  revoked: bigint;
  settled: bigint;
  effectiveAt: Date;
  expiresAt: Date | null;
  /** When it was over: its expiry or, if the expiry was set to a past time, the time when it was set. */
  overAt: Date | null;
  livesUntil: Date | null;
  periodStart: Date | null;
  periodEnd: Date | null;
  allotment: bigint | null;
  createdAt: Date;
}

export interface LedgerOrder {
  paid: bigint;
  refunded: bigint;
  disputed: bigint;
  dripsMonthly: boolean;
  facts: object;
}

export interface LedgerSubscription {
  currentPeriodStart: Date;
  endedAt: Date | null;
  /** The complete stored state. */
  state: object;
}

/** @param names  the replacements of Polar's ids */
export async function readLedger(
  pool: Pool,
  teamId: string,
  names: ReadonlyMap<string, string>,
): Promise<TeamLedger> {
  const nameOf = (id: string | null) => (id === null ? null : (names.get(id) ?? `unknown ${id}`));
  const read = async (sql: string) => (await pool.query(sql, [teamId])).rows;

  const nameKey = (key: string) => {
    const [kind, id = null, ...rest] = key.split(':');
    return [kind, kind === 'trial' ? 'the team' : nameOf(id), ...rest].join(':');
  };

  const grants = new Map<string, LedgerGrant>();
  for (const row of await read(
    `select g.*, greatest(g.expires_at, (select max(c.at) from grant_expiry_changes c
                                          where c.grant_id = g.id and c.to_expires_at = g.expires_at)) as over_at
       from grants g where team_id = $1 order by business_key`,
  )) {
    grants.set(nameKey(row.business_key), {
      source: row.source,
      debtKey: row.debt_key === null ? null : nameKey(row.debt_key),
      order: nameOf(row.order_id),
      subscription: nameOf(row.subscription_id),
      product: row.product,
      granted: BigInt(row.granted),
      available: BigInt(row.available),
      held: BigInt(row.held),
      consumed: BigInt(row.consumed),
      expired: BigInt(row.expired),
      revoked: BigInt(row.revoked),
      settled: BigInt(row.settled),
      effectiveAt: new Date(row.effective_at),
      expiresAt: toDate(row.expires_at),
      overAt: toDate(row.over_at),
      livesUntil: toDate(row.lives_until),
      periodStart: toDate(row.period_start),
      periodEnd: toDate(row.period_end),
      allotment: row.allotment === null ? null : BigInt(row.allotment),
      createdAt: new Date(row.created_at),
    });
  }
  const orders = new Map<string, LedgerOrder>();
  for (const row of await read(`select * from orders where team_id = $1 and granted_at is not null`)) {
    orders.set(nameOf(row.id) ?? '', {
      paid: BigInt(row.paid_amount),
      refunded: BigInt(row.refunded_amount),
      disputed: BigInt(row.disputed_amount),
      dripsMonthly: row.drips_monthly,
      facts: {
        ...{ product: row.product, subscription: nameOf(row.subscription_id), currency: row.currency },
        createdAt: row.created_at,
      },
    });
  }
  const debts = new Map<string, { owed: bigint; settled: bigint }>();
  for (const row of await read('select * from debts where team_id = $1')) {
    debts.set(nameKey(row.key), { owed: BigInt(row.owed), settled: BigInt(row.settled) });
  }
  const subscriptions = new Map<string, LedgerSubscription>();
  for (const row of await read('select * from subscriptions where team_id = $1')) {
    // The time of the last report is not compared: a team that missed a webhook without changes has an earlier one.
    const { id, team_id, state_at, ...state } = row;
    subscriptions.set(nameOf(id) ?? '', {
      currentPeriodStart: new Date(row.current_period_start),
      endedAt: toDate(row.ended_at),
      state,
    });
  }
  return { grants, orders, debts, subscriptions };
}

function toDate(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
