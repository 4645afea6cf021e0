import type { Database } from '../../database/connection.ts';
import { readBalance } from './read-balance.ts';

/** The fields of spendable credits that a forecast uses. */
export interface ForecastLot {
  /** Micro-credits. */
  available: bigint;
  /** Null: lifetime credits. */
  expiresAt: Date | null;
}

export interface Forecast {
  /** Which credits expire when. Micro-credits. */
  expiring: {
    at: Date;
    /** Credits that can be spent until then and not after. */
    credits: bigint;
    /** The part of them that will be lost at the current pace. */
    unused: bigint;
  }[];
  /** The average consumption per day over the last days. Micro-credits, rounded down. */
  pace: { days: number; creditsPerDay: bigint };
  /** When no credits are left, used up or expired; null if that is more than a hundred years away. */
  runsOutAt: Date | null;
}

const dayMs = 86_400_000n;
const farAwayMs = 36_525n * dayMs;
const paceDays = 7;

/** The forecast of a team's credits if it continues as in the last 7 days and gets no more. */
export async function readForecast(database: Database, teamId: string): Promise<Forecast & { asOf: Date }> {
  const { grants, asOf } = await readBalance(database, teamId);
  const { rows } = await database.pool.query<{ consumed: string }>({
    name: 'read-pace',
    text: `select coalesce(sum(credits), 0) as consumed from usage_events
            where team_id = $1 and occurred_at > $2 and occurred_at <= $3`,
    values: [teamId, new Date(asOf.getTime() - paceDays * Number(dayMs)), asOf],
  });
  const [row] = rows;
  if (!row) throw new Error('a sum has one row');
  const lots = grants.filter(({ available }) => available > 0n);
  return { ...forecastCredits(lots, BigInt(row.consumed), paceDays, asOf), asOf };
}

/**
 * Uses credits at a constant pace from now on, in burn order. Credits that expire before they are used are lost. Pure.
 *
 * @param lots  in burn order (`compareBurnOrder`), none expired
 * @param consumed  micro-credits consumed in the last `days` days
 */
export function forecastCredits(
  lots: readonly ForecastLot[],
  consumed: bigint,
  days: number,
  now: Date,
): Forecast {
  const window = BigInt(days) * dayMs;
  const expiring = new Map<number, { at: Date; credits: bigint; unused: bigint }>();
  // Milliseconds from now until the credits so far are used up. Null: never.
  let lasts: bigint | null = 0n;
  for (const { available, expiresAt } of lots) {
    const end: bigint | null = expiresAt && BigInt(expiresAt.getTime() - now.getTime());
    // A lot is used after the previous ones are used up. If one of them lasts for ever, it is never used.
    const left: bigint | null = lasts === null || end === null ? null : end > lasts ? end - lasts : 0n;
    const usable: bigint = left === null ? 0n : (consumed * left) / window;
    if (expiresAt) {
      const part = expiring.get(expiresAt.getTime()) ?? { at: expiresAt, credits: 0n, unused: 0n };
      part.credits += available;
      part.unused += usable < available ? available - usable : 0n;
      expiring.set(expiresAt.getTime(), part);
    }
    if (lasts === null) continue;
    const usedUp: bigint | null =
      consumed === 0n ? null : lasts + (available * window + consumed - 1n) / consumed;
    if (usedUp === null) lasts = end;
    else lasts = end !== null && end < usedUp ? (end > lasts ? end : lasts) : usedUp;
  }
  return {
    expiring: [...expiring.values()],
    pace: { days, creditsPerDay: consumed / BigInt(days) },
    runsOutAt: lasts === null || lasts > farAwayMs ? null : new Date(now.getTime() + Number(lasts)),
  };
}
