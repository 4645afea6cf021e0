import { readBalance } from '../../ledger/read/read-balance.ts';
import { alternate, timed } from '../interleave.ts';
import type { Finding, Measure } from '../measure.ts';
import { checkBooks, seedTeams } from '../seed.ts';
import type { Stack } from '../stack.ts';
import { openLedger, pickFrom } from '../workload.ts';

/** Whether frequent requests to the ledger become slower as its history grows. */
export const historyMeasure: Measure = {
  name: 'history',
  async run(stack) {
    const size = stack.quick
      ? { teams: 200, few: 200, many: 20_000, times: 50 }
      : { teams: 10_000, few: 10_000, many: 5_000_000, times: 3_000 };
    const large = await openWithHistory(stack, size.teams, size.many);
    const small = await openWithHistory(stack, size.teams, size.few);
    const what = `${size.teams.toLocaleString('en')} teams, one caller, ${size.many.toLocaleString('en')} past events`;
    const beside = `with ${size.few.toLocaleString('en')}, in turns`;

    const spends = await stack.progress.step(`a spend: ${what}; ${beside}`, async () => {
      await alternate(size.times / 5, { ours: large.spend, baseline: small.spend });
      return alternate(size.times, { ours: large.spend, baseline: small.spend });
    });
    const balances = await stack.progress.step(`a balance: ${what}; ${beside}`, async () => {
      await alternate(size.times / 5, { ours: large.balance, baseline: small.balance });
      return alternate(size.times, { ours: large.balance, baseline: small.balance });
    });
    const spent = size.times * 1.2;
    await large.close(spent);
    await small.close(spent);
    const finding = (name: string, operation: string, runs: typeof spends): Finding => ({
      name,
      compares: `${operation}: ${what}; ${beside}`,
      unit: 'ms',
      ...runs,
      goal: { atMost: 1.2 },
    });
    return [finding('history-spend', 'a spend', spends), finding('history-balance', 'a balance', balances)];
  },
};

async function openWithHistory(stack: Stack, teams: number, events: number) {
  const url = await stack.createDatabase();
  const teamIds = await seedTeams(url, { teams, events, progress: stack.progress });
  const ledger = await openLedger(url);
  return {
    spend: () => timed(() => ledger.spend(pickFrom(teamIds))),
    balance: () => timed(() => readBalance(ledger.database, pickFrom(teamIds))),
    async close(spent: number) {
      await ledger.close();
      await checkBooks(url, spent);
    },
  };
}
