import { alternate, interleave, runCallers, timed } from '../interleave.ts';
import type { Finding, Measure } from '../measure.ts';
import { type ChosenForm, chooseRowAtATime, openRowAtATime } from '../row-at-a-time.ts';
import { checkBooks, seedLedger } from '../seed.ts';
import type { Stack } from '../stack.ts';
import { openLedger, pickFrom } from '../workload.ts';

/**
 * The pool sizes that are tried for L. For one team a few connections are best, because the others wait for its lock.
 */
const poolSizes = { manyTeams: [2, 4, 8, 16, 32], oneTeam: [1, 2, 4, 8, 16] };

export const inProcessMeasures: Measure[] = [
  {
    name: 'teams',
    run: (stack) =>
      compareWithL(stack, {
        name: 'teams',
        compares: '1,000 teams, 1,000 callers in this process; L the same way',
        teams: 1_000,
        callers: 1_000,
        pools: poolSizes.manyTeams,
        operation: 'spend',
        atLeast: 6,
      }),
  },
  {
    name: 'hot-team',
    run: (stack) =>
      compareWithL(stack, {
        name: 'hot-team',
        compares: 'one team, 256 callers in this process; L the same way',
        teams: 1,
        callers: 256,
        pools: poolSizes.oneTeam,
        operation: 'spend',
        atLeast: 15,
      }),
  },
  {
    name: 'holds',
    run: (stack) =>
      compareWithL(stack, {
        name: 'holds',
        compares: 'pairs of hold and capture, 1,000 teams, 1,000 callers; single debits of L',
        teams: 1_000,
        callers: 1_000,
        pools: poolSizes.manyTeams,
        operation: 'holdAndCapture',
        atLeast: 3,
      }),
  },
  { name: 'alone', run: alone },
];

async function compareWithL(
  stack: Stack,
  {
    name,
    compares,
    teams,
    callers: wanted,
    pools,
    operation,
    atLeast,
  }: {
    name: string;
    compares: string;
    teams: number;
    callers: number;
    pools: readonly number[];
    operation: 'spend' | 'holdAndCapture';
    atLeast: number;
  },
): Promise<Finding[]> {
  const { quick, progress } = stack;
  const callers = quick ? wanted / 8 : wanted;
  const url = await stack.createDatabase();
  const teamIds = await seedLedger(stack, url, teams);
  const pick = () => pickFrom(teamIds);
  const chosen: ChosenForm & { acknowledged: number } = await chooseRowAtATime(stack, url, {
    callers,
    poolSizes: pools,
    pick,
  });
  let { acknowledged } = chosen;
  const ours = await openLedger(url);
  const l = await openRowAtATime(url, chosen.form, chosen.connections);
  const run = (call: () => Promise<unknown>, seconds: number) => () => {
    return runCallers(callers, seconds, () => {
      acknowledged += 1;
      return call();
    });
  };
  const spendOurs = () => ours[operation](pick());
  const spendL = () => l.spend(pick());
  const seconds = quick ? 0.3 : 4;
  try {
    const runs = await progress.step(compares, async () => {
      await run(spendL, seconds / 4)();
      await run(spendOurs, seconds / 4)();
      return interleave(quick ? 1 : 5, { ours: run(spendOurs, seconds), baseline: run(spendL, seconds) });
    });
    await checkBooks(url, acknowledged);
    return [{ name, compares, unit: '/s', ...runs, goal: { atLeast }, notes: chosen.tried }];
  } finally {
    await ours.close();
    await l.close();
  }
}

async function alone(stack: Stack): Promise<Finding[]> {
  const { quick, progress } = stack;
  const url = await stack.createDatabase();
  const teamIds = await seedLedger(stack, url, 1_000);
  const ours = await openLedger(url);
  const l = await openRowAtATime(url, 'one transaction', 1);
  const calls = {
    ours: () => timed(() => ours.spend(pickFrom(teamIds))),
    baseline: () => timed(() => l.spend(pickFrom(teamIds))),
  };
  const compares = 'one caller alone; one transaction of prepared statements on its own connection';
  const [warmUp, times] = quick ? [20, 50] : [500, 3_000];
  try {
    const runs = await progress.step(compares, async () => {
      await alternate(warmUp, calls);
      return alternate(times, calls);
    });
    await checkBooks(url, 2 * (warmUp + times));
    return [{ name: 'alone', compares, unit: 'ms', ...runs, goal: { atMost: 0.8 } }];
  } finally {
    await ours.close();
    await l.close();
  }
}
