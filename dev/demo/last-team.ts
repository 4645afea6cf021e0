import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { formatCredits } from '../../catalog/credits.ts';
import { BillingProblem } from '../../client/billing-error.ts';
import { availableIn, type Balance, readBalance, standingOf } from './balance.ts';
import { check, WrongFigure } from './check.ts';
import { CannotGoOn, credits, type Demo } from './connect.ts';
import { grouped, screen } from './screen.ts';

/** `DATA_DIR/demo.json`: the state of the team at the end of the last demo. */
const lastTeamFile = z.object({
  teamId: z.string(),
  asOf: z.string(),
  standing: z.object({
    trial: credits,
    subscription: credits,
    purchase: credits,
    adjustment: credits,
    debt: credits,
  }),
  consumed: credits,
  nextExpiry: z.string().nullable(),
});
type LastTeam = z.output<typeof lastTeamFile>;

/** Stores the state of this demo's team for the next demo. */
export function rememberTeam(demo: Demo, teamId: string, balance: Balance): void {
  const { asOf, nextExpiry } = balance;
  const standing = Object.entries(standingOf(balance)).map(([name, amount]) => [name, formatCredits(amount)]);
  const consumed = formatCredits(consumedIn(balance));
  const team = {
    teamId,
    asOf,
    standing: Object.fromEntries(standing),
    consumed,
    nextExpiry: nextExpiry?.at ?? null,
  };
  writeFileSync(fileOf(demo), `${JSON.stringify(team, null, 2)}\n`, { mode: 0o600 });
}

/**
 * Checks that the team of the last demo still has its credits, even if the stack was restarted: its past balance from
 * the ledger's history, and its current balance, unless a cycle has ended or someone has used the team since.
 */
export async function checkLastTeam(demo: Demo): Promise<void> {
  const last = readLastTeam(demo);
  if (!last) return;
  try {
    screen.ok(await compare(demo, last));
  } catch (error) {
    if (!(error instanceof WrongFigure || error instanceof BillingProblem)) throw error;
    throw new CannotGoOn(
      `${error.message}\n  This is the team of an earlier demo. If you changed it yourself, delete the file: rm ${fileOf(demo)}`,
    );
  }
}

async function compare(demo: Demo, last: LastTeam): Promise<string> {
  const { teamId, asOf, standing } = last;
  const then = standingOf(await readBalance(demo, teamId, asOf));
  check(`The balance of team ${teamId}, as it was at ${asOf},`, then, standing);
  const left = `the ${grouped(availableIn(standing))} credits of an earlier demo’s team`;

  const now = await readBalance(demo, teamId);
  const why = await whyItMayDiffer(demo, last, now);
  if (why) return `The ledger’s history still shows ${left} (since then ${why})`;
  const spentSince = consumedIn(now) - last.consumed;
  check(`The balance of team ${teamId}`, now.available + spentSince, availableIn(standing));
  return spentSince === 0n
    ? `${left.charAt(0).toUpperCase()}${left.slice(1)} are still there`
    : `Of ${left}, ${grouped(spentSince)} were spent since then`;
}

/** Null if only spends have changed the team's balance since then. */
async function whyItMayDiffer(
  demo: Demo,
  { teamId, asOf, nextExpiry }: LastTeam,
  now: Balance,
): Promise<string | null> {
  if (nextExpiry !== null && nextExpiry <= now.asOf) return 'a cycle has ended';
  const { data } = await demo.billing.GET('/v1/inbox', { params: { query: { teamId, limit: 1 } } });
  return data.some(({ receivedAt }) => receivedAt > asOf) ? 'someone has changed it at Polar' : null;
}

function readLastTeam(demo: Demo): LastTeam | undefined {
  let text: string;
  try {
    text = readFileSync(fileOf(demo), 'utf8');
  } catch {
    return undefined; // the first demo on this stack
  }
  try {
    return lastTeamFile.parse(JSON.parse(text));
  } catch {
    throw new CannotGoOn(`${fileOf(demo)} is damaged: remove it`);
  }
}

function consumedIn({ grants }: Balance): bigint {
  return grants.reduce((sum, { consumed }) => sum + consumed, 0n);
}

function fileOf({ dataDir }: Demo): string {
  return join(dataDir, 'demo.json');
}
