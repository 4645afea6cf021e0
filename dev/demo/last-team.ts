import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseDecimal } from '../../catalog/credits.ts';
import { type Balance, readBalance, sources, standingOf } from './balance.ts';
import { check } from './check.ts';
import type { Demo } from './connect.ts';
import { people, screen } from './screen.ts';

/** `DATA_DIR/demo.json`: how the last demo left its team. Credits as decimal strings. */
const lastTeamFile = z.object({
  teamId: z.string(),
  asOf: z.string(),
  bySource: z.partialRecord(z.enum(sources), z.string()),
  debt: z.string(),
  consumed: z.string(),
  nextExpiry: z.string().nullable(),
});
const inboxAnswer = z.object({ data: z.array(z.object({ receivedAt: z.string() })) });

export function rememberTeam(demo: Demo, teamId: string, balance: Balance): void {
  const { asOf, bySource, debt, nextExpiry } = balance;
  const remembered: z.input<typeof lastTeamFile> = {
    teamId,
    asOf,
    bySource: Object.fromEntries(sources.map((source) => [source, plain(bySource[source])])),
    debt: plain(debt),
    consumed: plain(consumedOf(balance)),
    nextExpiry: nextExpiry && nextExpiry.at,
  };
  writeFileSync(fileIn(demo), `${JSON.stringify(remembered, null, 2)}\n`, { mode: 0o600 });
}
