import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { formatCredits, MICRO } from '../../catalog/credits.ts';
import { addMonthsAnchored, splitAllotment } from '../../catalog/cycle.ts';
import { groupThousands } from '../../catalog/group-thousands.ts';
import { loadCatalog } from '../../catalog/load-catalog.ts';
import { priceUsage } from '../../catalog/price-usage.ts';
import type { GrantSource } from '../../database/entities/grant.ts';
import { armAlerts, reviewAlerts, thresholdCredits } from '../../ledger/rules/alerts.ts';
import { allocate, compareBurnOrder } from '../../ledger/rules/burn-order.ts';
import { type ClawbackGrant, clawbackTarget, planClawback } from '../../ledger/rules/plan-clawback.ts';

/**
 * The guides' numbers, computed from the catalog by the product's own rules. A guide contains each sentence, and no
 * other number.
 */
const root = join(import.meta.dirname, '../..');
const catalog = loadCatalog(join(root, 'catalog/catalog.yaml'));
const { trial, policies } = catalog;
const starter = planOf('starter_monthly');
const pro = planOf('pro_monthly');
const yearly = planOf('pro_yearly');
const pack = packOf('pack_1000');
const dayMs = 86_400_000;

const show = (micro: bigint) => groupThousands(formatCredits(micro));
const dollars = (cents: number) => `$${(cents / 100).toFixed(2)}`;
const whole = (credits: number) => BigInt(credits) * MICRO;
const duration = (ms: number) => `${ms / (ms % 3_600_000 === 0 ? 3_600_000 : 60_000)}`;

const call = price('model.gpt-5', { input_tokens: 12_000, output_tokens: 800, cached_tokens: 40_000 });
const job = burn(2_050, [
  ['subscription', '2026-10-01', 2_000],
  ['trial', '2026-10-10', 120],
  ['purchase', null, 1_000],
]);
const fromPack = burn(450, [
  ['subscription', '2026-10-01', 300],
  ['purchase', null, 1_000],
]);
const halfUp = {
  cents: (pro.price.cents - starter.price.cents) / 2,
  credits: (pro.allotment - starter.allotment) / 2n,
};
const [drip = 0n] = splitAllotment(yearly.allotment, 12);
const halfRefund = clawBack(pack.credits, 700, pack.price.cents, pack.price.cents / 2);
const fullRefund = clawBack(pack.credits, 700, pack.price.cents, pack.price.cents);
const cycleRefund = clawBack(starter.allotment, 500, starter.price.cents, starter.price.cents);
const run = [
  price('model.gpt-5-mini', { input_tokens: 10_000, output_tokens: 2_000 }),
  price('model.flux-1.1-pro', { images: 3 }),
  price('workflow.run', { runs: 1 }),
];
const monthEnds = [0, 1, 2].map((months) => {
  const end = addMonthsAnchored(new Date('2026-01-31T00:00:00Z'), months, 31);
  return end.toLocaleDateString('en-GB', { day: 'numeric', month: 'long', timeZone: 'UTC' });
});
const alertsAt = ['20%', '5%'].map((threshold) => thresholdCredits(threshold, starter.allotment));

const sentences: Record<string, string[]> = {
  'credit-system': [
    `a new team gets ${show(trial.credits)} credits once. They expire after ${trial.lifetime / dayMs} days. A user who creates several teams gets at most ${trial.perOwner} trials.`,
    ...catalog.prices.filter(({ category }) => category === 'language').map(languageRow),
    ...otherRows(),
    `A call of GPT-5 with 12,000 input tokens, 800 output tokens and 40,000 cached tokens costs ${sumOf(call)} credits.`,
    `On 20 September your team has 2,000 subscription credits that expire on 1 October, 120 trial credits that expire on 10 October, and a pack of 1,000 credits that never expire. A job costs 2,050 credits. It takes ${job.subscription} from the subscription and ${job.trial} from the trial.`,
    `A job sets 40 credits aside and costs 31.5. At its end, 31.5 are used and ${show(whole(40) - 31_500_000n)} are available again.`,
    `after ${duration(policies.holdLife)} minutes, or at the time that the job asked for, at most ${duration(policies.holdMaxLife)} hours.`,
  ],
  subscriptions: [
    ...[starter, pro].map(
      ({ name, price: { cents }, allotment }) =>
        `| ${name} | ${dollars(cents)} a month | ${show(allotment)} each month |`,
    ),
    `| ${yearly.name} | ${dollars(yearly.price.cents)} a year | ${show(yearly.allotment)} a year, in monthly parts of ${show(drip)} |`,
    `Your Starter cycle began on 1 September with ${show(starter.allotment)} credits. On 1 October 450 of them are left. Starter renews: the 450 expire, and you have ${show(starter.allotment)} again.`,
    `for up to ${duration(policies.renewalGrace)} hour after the cycle's end`,
    `A plan that began on the 31st renews on the last day of shorter months: ${monthEnds.join(', ')}.`,
    `Its ${show(yearly.allotment)} credits come in 12 monthly parts of ${show(drip)}.`,
    `Your cycle of Starter goes from 1 September to 1 October. On 16 September, half of it is left, and you change to Pro. You pay half of the difference between ${dollars(pro.price.cents)} and ${dollars(starter.price.cents)}: ${dollars(halfUp.cents)}. You get half of the difference between ${show(pro.allotment)} and ${show(starter.allotment)}: ${show(halfUp.credits)} credits. From 1 October on, you pay ${dollars(pro.price.cents)} and get ${show(pro.allotment)} credits each month.`,
    `${dollars(starter.price.cents)} for Starter are refunded in full after you used 500 of its ${show(starter.allotment)} credits. The other ${show(cycleRefund.taken)} are taken back, and you owe ${show(cycleRefund.owed)}. The next cycle brings ${show(starter.allotment)}, of which ${show(cycleRefund.owed)} pay what you owe: ${show(starter.allotment - cycleRefund.owed)} are available.`,
  ],
  'one-time-purchases': [
    ...catalog.packs.flatMap(({ name, price: { cents }, credits }) => [
      `| ${name} | ${dollars(cents)} | ${dollars((cents * 1_000) / Number(credits / MICRO))} |`,
    ]),
    'for 1,000 credits',
    `Your team has 300 subscription credits that expire at the end of the month, and buys a pack of ${show(pack.credits)}. A job costs 450: it takes ${fromPack.subscription} from the subscription and ${fromPack.purchase} from the pack. The pack has ${show(pack.credits - whole(Number(fromPack.purchase)))} left`,
    `You bought a pack of ${show(pack.credits)} credits for ${dollars(pack.price.cents)}, and used 700 of them. ${show(pack.credits - whole(700))} are left.`,
    `**${dollars(pack.price.cents / 2)} are refunded**: half of the credits, ${show(pack.credits / 2n)}, are to be taken back. The ${show(halfRefund.taken)} that are left are taken, and you owe ${show(halfRefund.owed)}.`,
    `**The whole ${dollars(pack.price.cents)} are refunded**: ${show(pack.credits)} are to be taken back. The ${show(fullRefund.taken)} are taken, and you owe ${show(fullRefund.owed)}. Then you buy another pack of ${show(pack.credits)}: ${show(fullRefund.owed)} of it pay what you owe, and ${show(pack.credits - fullRefund.owed)} are available.`,
  ],
  'usage-monitoring': [
    'this cycle, 7, 30 or 90 days, 12 months, or your own.',
    `A run calls GPT-5 mini with 10,000 input tokens and 2,000 output tokens: ${sumOf(run[0])} credits. It creates 3 images with FLUX 1.1 Pro: ${show(run[1]?.credits ?? 0n)} credits. The run itself costs ${show(run[2]?.credits ?? 0n)} credits. The page of the run shows ${show(run.reduce((sum, { credits }) => sum + credits, 0n))} credits in ${run.length} calls.`,
    'A team may set up to 5 thresholds',
    'A new team has 20% and 5%.',
    `Your plan renews and you have ${show(starter.allotment)} credits. The alerts come when ${alertsAt.map(show).join(' and ')} credits are left.`,
    'Chen may use 500 credits a month and has used 480. A job of his that costs 30 is refused, and says who may raise the limit. A job that costs 20 is accepted.',
    'A limit of 0 allows nothing.',
  ],
  'billing-portal': [
    `Your team pays ${dollars(pro.price.cents)} a month for Pro.`,
    `the ${show(pro.allotment)} credits of the new cycle do not come yet.`,
    `Polar charges ${dollars(pro.price.cents)}, and the ${show(pro.allotment)} credits arrive.`,
  ],
};

test.each(Object.keys(sentences))('each number of the guide %s follows from the catalog', (guide) => {
  let left = readFileSync(join(root, `docs/guides/${guide}.md`), 'utf8')
    .replaceAll(/^\d\. /gm, '') // the numbers of steps
    .replaceAll(/\s+/g, ' ');
  for (const sentence of sentences[guide] ?? []) {
    expect(left).toContain(sentence);
    left = left.replaceAll(sentence, ' ');
  }
  const names = catalog.prices.map(({ name }) => name).sort((a, b) => b.length - a.length);
  for (const name of names) left = left.replaceAll(name, ' ');
  expect(left.match(/\S*\d\S*/g) ?? []).toEqual([]);
});

test('an alert of the guide comes once until credits come in', () => {
  const lowBalance = ['20%', '5%'];
  const reviews = [400, 399, 100, 99].reduce<{ state: ReturnType<typeof armAlerts>; crossed: string[] }>(
    ({ state, crossed }, available) => {
      const review = reviewAlerts(state, lowBalance, whole(available), false);
      return {
        state: review.state,
        crossed: [...crossed, ...review.crossed.map(({ threshold }) => threshold)],
      };
    },
    { state: armAlerts(starter.allotment), crossed: [] },
  );
  expect(reviews.crossed).toEqual(lowBalance);
});

function planOf(key: string) {
  const plan = catalog.plans.find((one) => one.key === key);
  if (!plan) throw new Error(`the guides need the plan ${key}`);
  return plan;
}

function packOf(key: string) {
  const found = catalog.packs.find((one) => one.key === key);
  if (!found) throw new Error(`the guides need the pack ${key}`);
  return found;
}

function price(action: string, quantities: Record<string, number>) {
  const micro = Object.entries(quantities).map(([meter, amount]) => [meter, whole(amount)]);
  return priceUsage(catalog, action, Object.fromEntries(micro));
}

/** `1.8 + 0.96 = 2.76` */
function sumOf(priced: ReturnType<typeof price> | undefined): string {
  if (!priced) throw new Error('nothing is priced');
  return `${priced.lines.map(({ credits }) => show(credits)).join(' + ')} = ${show(priced.credits)}`;
}

/** What each source pays for a job. */
function burn(
  credits: number,
  grants: [source: GrantSource, expires: string | null, available: number][],
): Partial<Record<GrantSource, string>> {
  const lots = grants
    .map(([source, expires, available]) => ({
      id: source,
      source,
      businessKey: source,
      effectiveAt: new Date('2026-09-01'),
      expiresAt: expires === null ? null : new Date(expires),
      available: whole(available),
    }))
    .sort(compareBurnOrder);
  const { draws } = allocate(lots, whole(credits));
  return Object.fromEntries(draws.map(({ lot, credits: paid }) => [lot.source, show(paid)]));
}

/** What a refund takes of a grant of which some is used, and what is owed. */
function clawBack(granted: bigint, used: number, paidCents: number, refundedCents: number) {
  const grant: ClawbackGrant = {
    id: 'grant',
    source: 'purchase',
    businessKey: 'order:1',
    effectiveAt: new Date('2026-09-01'),
    expiresAt: null,
    granted,
    available: granted - whole(used),
    expired: 0n,
    revoked: 0n,
    adjusted: 0n,
    writtenOff: 0n,
  };
  const target = clawbackTarget(granted, BigInt(paidCents), BigInt(refundedCents));
  const { moves, owed } = planClawback('order:1', [grant], target, 0n);
  return { taken: moves.reduce((sum, { amount }) => sum + amount, 0n), owed };
}

function languageRow({ name, meters }: (typeof catalog.prices)[number]): string {
  const perMillion = meters.map(({ credits, per }) => show((credits * 1_000_000n) / BigInt(per)));
  return `| ${name} | ${perMillion.join(' | ')} |`;
}

function otherRows(): string[] {
  const units: Record<string, string> = {
    images: 'for each image',
    seconds: 'for 100 seconds',
    gb_days: 'for each GB and day',
    runs: 'for each run',
    searches: 'for 100 searches',
    pages: 'for each page',
  };
  return catalog.prices
    .filter(({ category }) => category !== 'language')
    .map(
      ({ name, meters: [meter] }) =>
        `| ${name} | ${show(meter?.credits ?? 0n)} credits ${units[meter?.meter ?? '']} |`,
    );
}
