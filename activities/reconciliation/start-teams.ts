import type { Database } from '../../database/connection.ts';
import { listTeamsToRun } from '../../reconciliation/list-teams-to-run.ts';

const mostTeamsAtOnce = 10;

/**
 * Of the next teams that need a running workflow (expiring credits, a subscription, future drips), starts those whose
 * workflow does not run.
 *
 * @param startTeam  starts a team's workflow; returns false if it already runs
 * @param after  the last team of the previous batch
 */
export async function startTeams(
  database: Database,
  startTeam: (teamId: string) => Promise<boolean>,
  after: string | null,
): Promise<{ checked: number; started: string[]; next: string | null }> {
  const ids = await listTeamsToRun(database.fork(), after);
  const started: string[] = [];
  for (let first = 0; first < ids.length; first += mostTeamsAtOnce) {
    const batch = ids.slice(first, first + mostTeamsAtOnce);
    const answers = await Promise.all(batch.map(async (id) => ((await startTeam(id)) ? id : null)));
    started.push(...answers.filter((id) => id !== null));
  }
  return { checked: ids.length, started, next: ids.at(-1) ?? null };
}
