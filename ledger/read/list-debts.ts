import type { Pool } from 'pg';
import { reversedSql } from '../../database/entities/order.ts';
import { invalidCursor, type ListPage, type ListRange } from '../../database/list-page.ts';

/** A debt that is not completely settled: credits that a clawback could not take because they were spent. In micro-credits. */
export interface ListedDebt {
  /** The subscription's cycle whose credits were taken back; null for a pack. */
  cycle: { subscriptionId: string; start: Date } | null;
  /** The orders that paid for those credits, oldest first: one for a pack; more for a cycle whose plan was changed. */
  orders: DebtOrder[];
  owed: bigint;
  settled: bigint;
  outstanding: bigint;
  /** When credits were owed first. */
  createdAt: Date;
}

export interface DebtOrder {
  id: string;
  /** The catalog key of its plan or pack. */
  product: string | null;
  paidAt: Date | null;
  /** Whether some of its money is refunded or disputed. */
  reversed: boolean;
}

/**
 * A team's outstanding debts, in the order in which they are settled: oldest first. Their `outstanding` is the balance's debt.
 * @throws DomainError `invalid_cursor`
 */
export async function listDebts(
  pool: Pool,
  teamId: string,
  { limit, cursor }: ListRange,
): Promise<ListPage<ListedDebt>> {
  const after = parseCursor(cursor);
  const { rows } = await pool.query<DebtRow>({
    name: 'list-debts',
    // Reads the partial index of outstanding debts, and the grants by their debt's key.
    text: `select d.key, d.owed, d.settled, extract(epoch from d.created_at) * 1000 as created_at,
                  (select coalesce(json_agg(json_build_object(
                            'id', o.id, 'product', o.product, 'paidAt', o.paid_at, 'reversed', ${reversedSql('o')} > 0
                          ) order by o.paid_at, o.id), '[]')
                     from orders o
                    where o.id in (select order_id from grants where debt_key = d.key)) as orders
             from debts d
            where d.team_id = $1 and d.owed > d.settled
              and (d.created_at, d.key collate "C") > (to_timestamp($2::double precision / 1000), $3)
            order by d.created_at, d.key collate "C"
            limit $4`,
    values: [teamId, after.at, after.key, limit + 1],
  });
  const last = rows[limit - 1];
  return {
    data: rows.slice(0, limit).map(toDebt),
    nextCursor: rows.length > limit && last ? `${Number(last.created_at)}.${last.key}` : null,
  };
}

interface DebtRow {
  key: string;
  owed: string;
  settled: string;
  created_at: string;
  orders: (Omit<DebtOrder, 'paidAt'> & { paidAt: string | null })[];
}

function toDebt({ key, orders, ...row }: DebtRow): ListedDebt {
  const owed = BigInt(row.owed);
  const settled = BigInt(row.settled);
  return {
    cycle: cycleOf(key),
    orders: orders.map((order) => ({
      ...order,
      paidAt: order.paidAt === null ? null : new Date(order.paidAt),
    })),
    owed,
    settled,
    outstanding: owed - settled,
    createdAt: new Date(Number(row.created_at)),
  };
}

/** A debt's key is `order:{id}` or `cycle:{subscription}:{start}`. */
function cycleOf(key: string): ListedDebt['cycle'] {
  const [, subscriptionId, start] = /^cycle:([^:]+):(.+)$/.exec(key) ?? [];
  return subscriptionId === undefined || start === undefined
    ? null
    : { subscriptionId, start: new Date(start) };
}

function parseCursor(cursor: string | undefined): { at: number; key: string } {
  if (cursor === undefined) return { at: 0, key: '' };
  const [, milliseconds, key] = /^(\d{1,14})\.((?:order|cycle):[\x21-\x7e]{1,200})$/.exec(cursor) ?? [];
  if (milliseconds === undefined || key === undefined) throw invalidCursor();
  return { at: Number(milliseconds), key };
}
