import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { adjustCredits } from '../../ledger/lifecycle/adjust-credits.ts';
import { applySubscription } from '../../ledger/lifecycle/apply-subscription.ts';
import { setLimit } from '../../ledger/spend/set-limit.ts';
import { alternate, timed } from '../interleave.ts';
import type { Finding, Measure } from '../measure.ts';
import { addGrants, addMarks, checkBooks, seedTeams } from '../seed.ts';
import type { Stack } from '../stack.ts';
import { openLedger } from '../workload.ts';

interface Size {
  grants: number;
  limits: number;
  events: number;
}

/** Whether work under a team's lock takes longer if the team has many open grants, limits and past events. */
export const largeTeamMeasure: Measure = {
  name: 'large-team',
  async run(stack) {
    const [large, small, times] = stack.quick
      ? [{ grants: 300, limits: 30, events: 20_000 }, { grants: 3, limits: 1, events: 200 }, 20]
      : [{ grants: 3_000, limits: 30, events: 200_000 }, { grants: 3, limits: 1, events: 10_000 }, 500];
    const [ours, baseline] = [await openTeam(stack, large), await openTeam(stack, small)];
    const compares = `a team with ${describe(large)}; with ${describe(small)}, in turns`;
    const measure = (operation: 'spend' | 'adjust' | 'renew') =>
      stack.progress.step(`${operation}: ${compares}`, async () => {
        const calls = { ours: ours[operation], baseline: baseline[operation] };
        await alternate(times / 5, calls);
        return alternate(times, calls);
      });
    const finding = (name: string, what: string, runs: Awaited<ReturnType<typeof measure>>): Finding => ({
      name,
      compares: `${what}: ${compares}`,
      unit: 'ms',
      ...runs,
      goal: { atMost: 2 },
    });
    const findings = [
      finding('large-team-spend', 'a spend', await measure('spend')),
      finding('large-team-adjust', 'an adjustment down', await measure('adjust')),
      finding('large-team-renewal', 'a new cycle of its subscription', await measure('renew')),
    ];
    await ours.close(times * 1.2);
    await baseline.close(times * 1.2);
    return findings;
  },
};

function describe({ grants, limits, events }: Size): string {
  return `${grants.toLocaleString('en')} open grants, ${limits} limits, ${events.toLocaleString('en')} past events`;
}

async function openTeam(stack: Stack, { grants, limits, events }: Size) {
  const url = await stack.createDatabase();
  const [teamId] = await seedTeams(url, { teams: 1, events, progress: stack.progress });
  if (teamId === undefined) throw new Error('a team was seeded');
  await addGrants(url, teamId, grants - 3);
  const { database, spend, close } = await openLedger(url);
  const apiKeyIds = Array.from({ length: limits }, (_, index) => `key-${index}`);
  for (const apiKeyId of apiKeyIds) {
    await setLimit(database, {
      teamId,
      subject: 'key',
      subjectId: apiKeyId,
      credits: 10n ** 17n,
      per: 'cycle',
    });
  }
  await addMarks(url, Math.ceil(events / limits));
  let cycles = 0;
  return {
    spend: () => timed(() => spend(teamId, { apiKeyId: 'key-0' })),
    adjust: () =>
      timed(() =>
        database.transaction((em) =>
          adjustCredits(em, { teamId, credits: -1n, reason: 'bench', actor: 'bench', expiresAt: null }),
        ),
      ),
    renew: () =>
      timed(() =>
        database.transaction(async (em) => {
          const { now } = await lockLivingTeam(em, teamId);
          cycles += 1;
          const start = new Date(now.getTime() - 86_400_000 + cycles * 1_000);
          const facts = {
            id: 'subscription',
            teamId,
            plan: 'starter_monthly',
            status: 'active',
            currentPeriodStart: start,
            currentPeriodEnd: new Date(start.getTime() + 30 * 86_400_000),
            cancelAtPeriodEnd: false,
            startedAt: start,
            endedAt: null,
            stateAt: start,
          };
          await applySubscription(em, facts, { policies, fetched: true }, now);
        }),
      ),
    async close(spent: number) {
      await close();
      await checkBooks(url, spent);
    },
  };
}

const policies = { renewalGrace: 3_600_000, lateAllotmentLife: 7 * 86_400_000 };
