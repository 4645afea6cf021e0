import { z } from 'zod';
import { formatCredits, parseDecimal } from '../../catalog/credits.ts';
import { groupThousands } from '../../catalog/group-thousands.ts';
import type { components } from '../../client/api-types.ts';
import { BillingProblem, isProblem } from '../../client/billing-error.ts';
import {
  planAttribute,
  subscriptionStatusAttribute,
  teamLifecycleType,
  teamWorkflowId,
} from '../../workflows/messages.ts';
import {
  availableIn,
  type Balance,
  nothing,
  readBalance,
  type Source,
  type Standing,
  spendFrom,
  standingOf,
} from './balance.ts';
import {
  type Catalog,
  type Consumption,
  chooseProducts,
  consume,
  consumeAtLeast,
  oneOfEachCategory,
  readCatalog,
} from './catalog.ts';
import { check, WrongFigure, waitUntil } from './check.ts';
import { CannotGoOn, type Demo } from './connect.ts';
import { checkLastTeam, rememberTeam } from './last-team.ts';
import { grouped, screen } from './screen.ts';

type Receipt = components['schemas']['Receipt'] | components['schemas']['DebitedBatchEvent'];
const webhooksAnswer = z.array(
  z.object({ type: z.string(), succeeded: z.boolean().nullable(), skipped: z.boolean(), held: z.boolean() }),
);
const anything = z.unknown();

/**
 * The story of one new team. Each expected figure is computed from the catalog before the real one is read.
 *
 * @returns the team's id
 */
export async function tellStory(demo: Demo): Promise<string> {
  screen.say(`The story of a team, over HTTP at ${demo.publicUrl}`);
  await checkLastTeam(demo);
  const catalog = await readCatalog(demo);
  const { plan, larger, pack } = chooseProducts(catalog);
  const [model, ...others] = oneOfEachCategory(catalog);
  const bulk = others.at(-1) ?? model;
  if (!model || !bulk) throw new CannotGoOn('The demo needs a price in the catalog');

  const ada = await signUp(demo, catalog);
  await useOnce(ada, consume(model, '12000', '3500', '40000'));
  await useInBatch(
    ada,
    others.map((action, index) => consume(action, ['3', '90', '2.5', '4'][index] ?? '1')),
  );

  // Costs half a pack more than the balance, so half of the pack is spent when the pack is refunded.
  const large = consumeAtLeast(bulk, availableIn(ada.standing()) + pack.credits / 2n);
  const key = await useTooMuch(ada, large);
  await buyPack(ada, pack);
  await tryAgain(ada, large, key);

  await subscribe(ada, plan);
  await useOf(ada, consumeAtLeast(bulk, plan.allotment / 4n));
  await renew(ada, plan);
  await changePlanAndBack(ada, plan, larger);
  await refundPack(ada, pack);

  await openPortal(ada, plan);
  await checkHistory(ada);
  await showOperators(ada, plan.key);
  rememberTeam(demo, ada.teamId, await ada.read());
  showAddresses(ada);
  return ada.teamId;
}

/** A user, their team, and the team's expected balance so far. */
type Ada = ReturnType<typeof follow>;

function follow(demo: Demo, catalog: Catalog, userId: string, teamId: string) {
  let standing = nothing;
  const pastBalances: { at: string; standing: Standing }[] = [];
  const read = () => readBalance(demo, teamId);

  return {
    demo,
    catalog,
    teamId,
    /** The path parameters of the requests about the team. */
    path: { teamId },
    /** Her own requests. Usage is recorded with the service key. */
    billing: demo.billingOf(userId),
    pastBalances,
    read,
    standing: () => standing,

    /** Checks that nothing has changed since the last step. */
    async unchanged(): Promise<void> {
      check('The balance before this step', standingOf(await read()), standing);
    },

    /** Waits until the team has exactly this balance, and shows it beside the previous one. */
    async becomes(next: Standing, what: string): Promise<Balance> {
      const { answer: balance, seconds } = await waitUntil(what, read, standingOf, next);
      check('What can be spent', balance.available, availableIn(next));
      screen.balances(shown(standing), shown(next), seconds);
      standing = next;
      pastBalances.push({ at: balance.asOf, standing });
      return balance;
    },
  };
}

async function signUp(demo: Demo, catalog: Catalog): Promise<Ada> {
  const id = `demo_${Date.now().toString(36)}_${crypto.randomUUID().slice(0, 8)}`;
  screen.step('Ada signs up, and her Personal Team gets the trial credits');
  const body = { id, email: `${id}@example.com`, name: 'Ada Lovelace' };
  const { team } = await demo.billing.POST('/v1/users', { body });
  screen.detail(`POST /v1/users → 201, team ${team.id}`);
  check('The new team is personal', team.personal, true);
  const ada = follow(demo, catalog, id, team.id);
  await ada.becomes({ ...nothing, trial: catalog.trial.credits }, 'The balance with the trial credits');
  return ada;
}

async function useOnce(ada: Ada, usage: Consumption): Promise<void> {
  screen.step('Her first workflow calls a model: the receipt shows the price and which credits paid');
  await ada.unchanged();
  const key = crypto.randomUUID();
  const receipt = await use(ada, usage, key);
  const { left, paid } = spendFrom(ada.standing(), usage.credits, ['trial']);
  screen.detail(`POST /v1/teams/…/usage → 201, ${usage.action}, price version ${receipt.priceVersion}`);
  screen.rows(
    receipt.lines.map((line) => [
      line.meter,
      `>${groupThousands(line.quantity)}`,
      '×',
      line.unitPrice,
      '=',
      `>${grouped(parseDecimal(line.credits))}`,
    ]),
  );
  checkReceipt(ada, receipt, usage, paid, availableIn(left));
  check('The receipt of the same key sent again', await use(ada, usage, key), receipt);
  screen.detail('the same key again → the same receipt, nothing is debited twice');
  await ada.becomes(left, 'The balance after the debit');
}

async function useInBatch(ada: Ada, usages: Consumption[]): Promise<void> {
  screen.step('A batch of other actions: one wrong event does not affect the others');
  await ada.unchanged();
  const unknown: Consumption = {
    action: 'no.such.action',
    quantities: { runs: '1' },
    credits: 0n,
    lines: [],
  };
  const all = [...usages.slice(0, 1), unknown, ...usages.slice(1)];
  const events = all.map(({ action, quantities }) => ({
    teamId: ada.teamId,
    idempotencyKey: crypto.randomUUID(),
    action,
    quantities,
  }));
  const { results } = await ada.demo.billing.POST('/v1/usage/batch', { body: { events } });
  screen.detail(`POST /v1/usage/batch with ${events.length} events → 200`);
  check('The number of results', results.length, events.length);
  let standing = ada.standing();
  for (const [index, usage] of all.entries()) {
    const result = results[index];
    if (usage === unknown) {
      const refusal = isProblem(result) ? { status: result.status, code: result.code } : result;
      check('The answer to an unknown action', refusal, { status: 422, code: 'unknown_action' });
    } else if (result && !isProblem(result) && 'lines' in result) {
      const { left, paid } = spendFrom(standing, usage.credits, ['trial']);
      checkReceipt(ada, result, usage, paid, availableIn(left));
      standing = left;
    } else {
      check(`The answer to ${usage.action}`, result, 'a receipt');
    }
  }
  screen.rows(
    all.map(({ action, lines: [line], credits }) =>
      line
        ? ['201', action, `>${groupThousands(line.quantity)}`, line.meter, `>${grouped(credits)}`]
        : ['422', action, '>1', 'runs', '>unknown_action'],
    ),
  );
  await ada.becomes(standing, 'The balance after the debits');
}

/** @returns the key, which may be sent again: a 402 is not recorded */
async function useTooMuch(ada: Ada, usage: Consumption): Promise<string> {
  screen.step('A job that costs more than the balance: 402, and nothing is consumed');
  await ada.unchanged();
  const key = crypto.randomUUID();
  const { problem } = await refusalOf(use(ada, usage, key));
  screen.detail(`POST /v1/teams/…/usage → ${problem.status} ${problem.code}`);
  screen.detail(problem.detail);
  check('The status of the refusal', problem.status, 402);
  check('The code of the refusal', problem.code, 'insufficient_credits');
  check('What was needed', problem.required, formatCredits(usage.credits));
  check('What there was', problem.available, formatCredits(availableIn(ada.standing())));
  await ada.becomes(ada.standing(), 'The balance after the refusal');
  return key;
}

async function buyPack(ada: Ada, pack: { key: string; name: string; credits: bigint }): Promise<void> {
  screen.step(`She buys ${pack.name}, which never expire`);
  await ada.unchanged();
  await payFor(ada, pack.key);
  const standing = ada.standing();
  const { grants } = await ada.becomes(
    { ...standing, purchase: standing.purchase + pack.credits },
    'The balance with the pack’s credits',
  );
  check('The expiry of the pack’s credits', newest(grants, 'purchase').expiresAt, null);
}

async function tryAgain(ada: Ada, usage: Consumption, key: string): Promise<void> {
  screen.step('The same job with the same key: the trial pays first, lifetime credits last');
  await ada.unchanged();
  const { left, paid } = spendFrom(ada.standing(), usage.credits, ['trial', 'purchase']);
  const receipt = await use(ada, usage, key);
  showPayers(receipt);
  checkReceipt(ada, receipt, usage, paid, availableIn(left));
  await ada.becomes(left, 'The balance after the debit');
}

async function subscribe(ada: Ada, plan: Catalog['plans'][number]): Promise<void> {
  screen.step(`The team subscribes to ${plan.name}: each paid cycle grants its allotment`);
  await ada.unchanged();
  await payFor(ada, plan.key);
  await ada.becomes(
    { ...ada.standing(), subscription: plan.allotment },
    'The balance with the first allotment',
  );
  await checkSubscription(ada, plan);
}

async function useOf(ada: Ada, usage: Consumption): Promise<void> {
  screen.step(
    'A quarter of the allotment is used: credits that expire are spent first, so the pack stays whole',
  );
  await ada.unchanged();
  const { left, paid } = spendFrom(ada.standing(), usage.credits, ['subscription', 'purchase']);
  const receipt = await use(ada, usage, crypto.randomUUID());
  showPayers(receipt);
  checkReceipt(ada, receipt, usage, paid, availableIn(left));
  await ada.becomes(left, 'The balance after the debit');
}

async function renew(ada: Ada, plan: Catalog['plans'][number]): Promise<void> {
  screen.step('The subscription renews: the rest of the old cycle expires, the pack stays');
  await ada.unchanged();
  const unused = ada.standing().subscription;
  const { items } = await ada.demo.polar.subscriptions.list({
    external_customer_id: ada.teamId,
    active: true,
  });
  const subscription = items[0];
  if (!subscription) throw new CannotGoOn('Polar has no subscription of this team');
  await ada.demo.press(`/subscriptions/${subscription.id}/renew-now`, anything);
  screen.detail('POST /emulator/subscriptions/…/renew-now (as Polar does at the end of a month)');
  const { grants } = await ada.becomes(
    { ...ada.standing(), subscription: plan.allotment },
    'The balance with the next allotment',
  );
  const cycles = grants.filter(({ source }) => source === 'subscription');
  check('The number of allotments', cycles.length, 2);
  check('What expired of the old cycle', cycles.map(({ expired }) => expired).toSorted(descending), [
    unused,
    0n,
  ]);
  screen.detail(`${grouped(unused)} credits of the old cycle expired`);
  await checkSubscription(ada, plan);
}

/**
 * Credits follow the money of a plan change, for the remaining time: up through our API, back through Polar's portal.
 */
async function changePlanAndBack(
  ada: Ada,
  plan: Catalog['plans'][number],
  larger: Catalog['plans'][number],
): Promise<void> {
  screen.step(`The team changes to ${larger.name} and back: credits follow the money, both ways`);
  await ada.unchanged();
  await ada.billing.POST('/v1/teams/{teamId}/subscription/change', {
    params: { path: ada.path },
    body: { plan: larger.key },
  });
  const up = await newestChange(ada);
  const brought = creditsOf(larger.allotment - plan.allotment, up);
  await ada.becomes(
    { ...ada.standing(), subscription: ada.standing().subscription + brought },
    'The balance after the upgrade',
  );
  screen.detail(
    `POST /v1/teams/…/subscription/change: ${showMoney(up.cents)}, ${grouped(brought)} credits more`,
  );

  const { items } = await ada.demo.polar.products.list({ is_archived: false, limit: 100 });
  const product = items.find(({ metadata }) => metadata.catalog_key === plan.key);
  if (!product) throw new CannotGoOn(`Polar has no product for ${plan.key}`);
  const change = { product_id: product.id, proration_behavior: 'invoice' };
  await ada.demo.press(`/subscriptions/${up.subscriptionId}/change-plan`, anything, change);
  const down = await newestChange(ada, up.id);
  const taken = creditsOf(larger.allotment - plan.allotment, down);
  const { grants } = await ada.becomes(
    { ...ada.standing(), subscription: ada.standing().subscription - taken },
    'The balance after the way back',
  );
  const revoked = grants.reduce((sum, grant) => sum + grant.revoked, 0n);
  check('What the way back revoked', revoked, taken);
  screen.detail(`in Polar's portal: ${showMoney(down.cents)}, ${grouped(taken)} credits less`);
  await checkSubscription(ada, plan);
}

/** The order of the newest plan change: its money, and its share of the cycle. */
async function newestChange(ada: Ada, notThis?: string) {
  const { items } = await ada.demo.polar.orders.list({ external_customer_id: ada.teamId, limit: 100 });
  const order = items.find(
    ({ id, billing_reason }) => billing_reason === 'subscription_update' && id !== notThis,
  );
  const line = order?.items.find(({ proration }) => proration);
  const { start_timestamp: start, end_timestamp: end } = line ?? {};
  if (!order?.subscription || !start || !end)
    throw new CannotGoOn('Polar has no order for the change of plan');
  const cycleStart = order.subscription.current_period_start;
  return {
    id: order.id,
    cents: order.net_amount,
    subscriptionId: order.subscription.id,
    left: BigInt(Date.parse(end) - Date.parse(start)),
    whole: BigInt(Date.parse(end) - Date.parse(cycleStart)),
  };
}

/** Rounded down to the micro-credit. */
function creditsOf(difference: bigint, { left, whole }: { left: bigint; whole: bigint }): bigint {
  return (difference * left) / whole;
}

function showMoney(cents: number): string {
  return `${cents < 0 ? 'returned' : 'charged'} ${(Math.abs(cents) / 100).toFixed(2)} USD`;
}

async function refundPack(ada: Ada, pack: { key: string; credits: bigint }): Promise<void> {
  screen.step('The half-spent pack is refunded: the rest is revoked, the spent half becomes a debt');
  await ada.unchanged();
  const invoices = async () =>
    (await ada.billing.GET('/v1/teams/{teamId}/invoices', { params: { path: ada.path } })).data;
  const order = (await invoices()).find(({ product }) => product === pack.key);
  if (!order) throw new CannotGoOn('The team’s invoices do not have the pack');
  await ada.demo.press(`/orders/${order.id}/refund`, anything);
  screen.detail('POST /emulator/orders/…/refund, the full amount');

  const revoked = ada.standing().purchase;
  const owed = pack.credits - revoked;
  const { left, short } = spendFrom({ ...ada.standing(), purchase: 0n }, owed, ['subscription']);
  const { grants } = await ada.becomes({ ...left, debt: short }, 'The balance after the clawback');
  const settled = grants.reduce((sum, grant) => sum + grant.settled, 0n);
  check('What was revoked of the pack', newest(grants, 'purchase').revoked, revoked);
  check('What was settled of the debt', settled, owed - short);
  screen.detail(
    `${grouped(revoked)} revoked; ${grouped(owed)} owed, ${grouped(settled)} settled from the subscription`,
  );
  const after = (await invoices()).find(({ id }) => id === order.id);
  check('The invoice of the pack', after?.status, 'refunded');
}

async function openPortal(ada: Ada, plan: { name: string }): Promise<void> {
  screen.step('She opens the customer portal, with her own token');
  const { url } = await ada.billing.POST('/v1/teams/{teamId}/portal', { params: { path: ada.path } });
  const page = await ada.demo.page(url);
  check('The portal shows the plan', page.includes(plan.name), true);
  screen.ok(`POST /v1/teams/…/portal → 201, and the page shows ${plan.name}`);
}

/** The ledger still returns every past balance. */
async function checkHistory(ada: Ada): Promise<void> {
  screen.step('The history is complete');
  for (const { at, standing } of ada.pastBalances) {
    check(
      `The balance as it was at ${at}`,
      standingOf(await readBalance(ada.demo, ada.teamId, at)),
      standing,
    );
  }
  screen.ok(`${ada.pastBalances.length} past balances (?at=…) are unchanged`);
  await allDelivered(ada.demo);
  const inbox = async (status: 'received' | 'parked') => {
    const query = { teamId: ada.teamId, limit: 100, status };
    const { data } = await ada.demo.billing.GET('/v1/inbox', { params: { query } });
    return data.map(({ type, parkedCode }) => ({ type, parkedCode }));
  };
  const open = async () => [...(await inbox('received')), ...(await inbox('parked'))];
  await waitUntil('The inbox’s open events', open, (events) => events, []);
  screen.ok('every webhook is handled: no event of the team waits, none is parked');
  await ada.unchanged();
}

/** Waits until every webhook of the emulator has arrived, except those that a fault holds back. */
async function allDelivered({ look }: Demo): Promise<void> {
  const onTheirWay = (events: z.output<typeof webhooksAnswer>) =>
    events
      .filter(({ succeeded, skipped, held }) => succeeded === null && !skipped && !held)
      .map(({ type }) => type);
  await waitUntil('The webhooks on their way', () => look('/webhooks', webhooksAnswer), onTheirWay, []);
}

/** Temporal lists the team's workflow with the attributes that operators filter by. */
async function showOperators(ada: Ada, plan: string): Promise<void> {
  screen.step('Operators see the team in Temporal');
  const workflowId = teamWorkflowId(ada.teamId);
  const listed = async () => {
    const query = `WorkflowType = '${teamLifecycleType}' AND WorkflowId = '${workflowId}'`;
    for await (const { status, typedSearchAttributes } of ada.demo.temporal.workflow.list({ query })) {
      return {
        status: status.name,
        Plan: typedSearchAttributes.get(planAttribute),
        SubscriptionStatus: typedSearchAttributes.get(subscriptionStatusAttribute),
      };
    }
    return 'no such workflow';
  };
  const expected = { status: 'RUNNING', Plan: plan, SubscriptionStatus: 'active' };
  await waitUntil(`Temporal’s listing of ${workflowId}`, listed, (found) => found, expected);
  screen.ok(`${workflowId}: Plan ${plan}, SubscriptionStatus active`);
}

function showAddresses({ demo, teamId }: Ada): void {
  const workflow = `namespaces/${demo.temporal.options.namespace}/workflows/${encodeURIComponent(teamWorkflowId(teamId))}`;
  screen.say();
  screen.say('Look at');
  screen.rows([
    ...(demo.temporalUi ? [['the team’s workflow', `${demo.temporalUi}/${workflow}`]] : []),
    ['the API’s documentation', `${demo.publicUrl}/docs`],
    ['Polar: checkouts, subscriptions, portals', demo.polarUrl],
  ]);
}

/** Checks out and pays, like a browser with a card. */
async function payFor(ada: Ada, product: string): Promise<void> {
  const { url } = await ada.billing.POST('/v1/teams/{teamId}/checkout', {
    params: { path: ada.path },
    body: { product },
  });
  await ada.demo.page(url);
  const id = new URL(url).pathname.split('/').at(-1);
  await ada.demo.press(`/checkouts/${id}/pay`, anything);
  screen.detail(`POST /v1/teams/…/checkout {"product": "${product}"} → 201, paid on its page`);
}

function use({ demo, path }: Ada, { action, quantities }: Consumption, key: string): Promise<Receipt> {
  return demo.billing.POST('/v1/teams/{teamId}/usage', {
    params: { path, header: { 'Idempotency-Key': key } },
    body: { action, quantities },
  });
}

/** @throws WrongFigure if the request is not refused */
async function refusalOf(request: Promise<unknown>): Promise<BillingProblem> {
  const outcome = await request.catch((error: unknown) => error);
  if (outcome instanceof BillingProblem) return outcome;
  if (outcome instanceof Error) throw outcome;
  throw new WrongFigure('The answer', 'a refusal', 'no refusal');
}

function checkReceipt(
  { catalog }: Ada,
  receipt: Receipt,
  usage: Consumption,
  paid: { source: Source; credits: bigint }[],
  availableAfter: bigint,
): void {
  const lines = receipt.lines.map(({ meter, quantity, credits }) => ({
    meter,
    quantity,
    credits: parseDecimal(credits),
  }));
  const payers = receipt.grants.map(({ source, credits }) => ({ source, credits: parseDecimal(credits) }));
  check(`The lines of the receipt for ${usage.action}`, lines, usage.lines);
  check(`The price of ${usage.action}`, parseDecimal(receipt.credits), usage.credits);
  check('Who paid', payers, paid);
  check('The price version', receipt.priceVersion, catalog.priceVersion);
  check('The balance on the receipt', parseDecimal(receipt.balance.available), availableAfter);
}

function showPayers({ credits, grants }: Receipt): void {
  const payers = grants
    .map((grant) => `${grouped(parseDecimal(grant.credits))} by ${grant.source}`)
    .join(', ');
  screen.detail(`POST /v1/teams/…/usage → 201, ${grouped(parseDecimal(credits))} credits: ${payers}`);
}

async function checkSubscription(ada: Ada, plan: Catalog['plans'][number]): Promise<void> {
  const subscription = await ada.billing.GET('/v1/teams/{teamId}/subscription', {
    params: { path: ada.path },
  });
  const next = subscription?.nextAllotment;
  check('The plan', subscription?.plan, plan.key);
  check('The subscription’s status', subscription?.status, 'active');
  check('The next allotment', next && parseDecimal(next.credits), plan.allotment);
  check('The next allotment comes with the next cycle', next?.at, subscription?.cycle.end);
  screen.detail(`${plan.key} is active until ${subscription?.cycle.end.slice(0, 10)}`);
}

function newest(grants: Balance['grants'], source: Source): Balance['grants'][number] {
  const [first] = grants
    .filter((grant) => grant.source === source)
    .toSorted((a, b) => b.effectiveAt.localeCompare(a.effectiveAt));
  if (!first) throw new CannotGoOn(`The balance lists no grant from ${source}`);
  return first;
}

/** The columns to show: those that are always zero in this story only if they are not zero. */
function shown({ adjustment, debt, ...standing }: Standing): Record<string, bigint> {
  return {
    ...standing,
    ...(adjustment === 0n ? {} : { adjustment }),
    ...(debt === 0n ? {} : { debt }),
    total: availableIn({ ...standing, adjustment, debt }),
  };
}

function descending(a: bigint, b: bigint): number {
  return a < b ? 1 : a > b ? -1 : 0;
}
