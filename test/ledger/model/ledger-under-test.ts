import { createHash, randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { formatCredits } from '../../../catalog/credits.ts';
import type { PublishedCatalog } from '../../../catalog/versions.ts';
import { connectDatabase, type Database } from '../../../database/connection.ts';
import { Grant } from '../../../database/entities/grant.ts';
import { lockLivingTeam } from '../../../database/lock-living-team.ts';
import { withClient } from '../../../dev/postgres.ts';
import { DomainError } from '../../../domain-error.ts';
import { adjustCredits } from '../../../ledger/lifecycle/adjust-credits.ts';
import { applyPaidOrder, applyReversal } from '../../../ledger/lifecycle/apply-order.ts';
import { applySubscription } from '../../../ledger/lifecycle/apply-subscription.ts';
import { expireCredits } from '../../../ledger/lifecycle/expire-credits.ts';
import { grantCredits } from '../../../ledger/lifecycle/grant-credits.ts';
import { type Balance, readBalance } from '../../../ledger/read/read-balance.ts';
import { type CreditOperations, createCreditOperations } from '../../../ledger/spend/credit-operations.ts';
import type { HoldAnswer as RealHoldAnswer, Receipt } from '../../../ledger/spend/operation.ts';
import { listLimits, removeLimit, setLimit } from '../../../ledger/spend/set-limit.ts';
import { defaultCatalog as catalog } from '../../setup/default-catalog.ts';
import type { Command, Sent } from './commands.ts';
import * as model from './ledger-model.ts';
import {
  type AdjustmentAnswer,
  type Answer,
  type KeyedRequest,
  longestHold,
  type ModelTeam,
  type RefusalAnswer,
  type Request,
} from './ledger-model.ts';

/** Runs are concurrent in one database. Each lane has its own clock. */
export interface Lane {
  database: Database;
  creditOperations: CreditOperations;
  setClock(at: number): Promise<void>;
  close(): Promise<void>;
}

const start = Date.UTC(2026, 4, 20, 20);
const packCredits = 40n;
const planCredits = 70n;

/** Replaces the clock with one that each lane sets for its own connections. */
export async function replaceClockByLanes(databaseUrl: string): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    await client.query('create table lane_clocks (lane text primary key, at timestamptz(3) not null)');
    await client.query(
      `create or replace function billing_now() returns timestamptz(3) language sql volatile
         return (select at from lane_clocks where lane = current_setting('application_name'))`,
    );
    for (const id of model.newTeam().members) {
      await client.query(
        `with team as (insert into teams (id, name, personal, created_at) values (uuidv7(), 'theirs', true, $2) returning id)
         insert into users (id, email, name, personal_team_id, created_at) select $1, $1, $1, id, $2 from team`,
        [id, new Date(start)],
      );
    }
  });
}

/** @param firstGrants  how many grants of a team a commit reads before it knows whether they suffice */
export async function openLane(databaseUrl: string, name: string, firstGrants?: number): Promise<Lane> {
  const database = await connectDatabase(databaseUrl, { pool: 3 });
  // For new connections, and for the open one.
  database.pool.options.application_name = name;
  await database.pool.query(`select set_config('application_name', $1, false)`, [name]);
  const lane: Lane = {
    database,
    creditOperations: createCreditOperations(database, firstGrants === undefined ? {} : { firstGrants }),
    async setClock(at) {
      await database.pool.query(
        'insert into lane_clocks values ($1, $2) on conflict (lane) do update set at = excluded.at',
        [name, new Date(at)],
      );
    },
    async close() {
      await lane.creditOperations.close();
      await database.close();
    },
  };
  await lane.setClock(start);
  return lane;
}

/** One run: two teams, and the model of each. */
export interface Run {
  lane: Lane;
  catalog: PublishedCatalog;
  now: number;
  teams: RunTeam[];
  /** Every hold by the name that the model knows it by. */
  holds: { name: string; id: string; team: RunTeam; credits: bigint }[];
  /** Every request with a key. */
  requests: { team: RunTeam; request: KeyedRequest }[];
  /** Counts the outcomes of requests: a run in which everything is refused proves little. */
  tally: Map<string, number>;
}

interface RunTeam {
  id: string;
  model: ModelTeam;
  /** The model after each command. */
  past: { at: number; model: ModelTeam }[];
  /** Business keys by the grants' ids. */
  grantKeys: Map<string, string>;
  /** The first answer to a key. */
  firstReceipts: Map<string, Receipt>;
}

/** Small amounts, so that they collide: packs of 40 micro-credits, plans of 70. */
export async function smallCatalog(): Promise<PublishedCatalog> {
  return {
    catalogVersion: 1,
    catalog: {
      ...catalog,
      packs: catalog.packs.map((pack) => ({ ...pack, credits: packCredits })),
      plans: catalog.plans.map((plan) => ({ ...plan, allotment: planCredits })),
      policies: { ...catalog.policies, renewalGrace: model.renewalGrace },
    },
  };
}

/** Executes the commands on the ledger and on the model. Throws if they disagree or a rule is broken. */
export async function playRun(
  lane: Lane,
  catalog: PublishedCatalog,
  commands: readonly Command[],
  tally: Map<string, number>,
): Promise<void> {
  const ids = [uuidv7(), uuidv7()];
  await lane.database.pool.query(
    `insert into teams (id, name, personal, created_at) select id, 'a team', false, $2 from unnest($1::uuid[]) as id`,
    [ids, new Date(start)],
  );
  await lane.database.pool.query(
    `insert into members (team_id, user_id, role, created_at) select t.id, u.id, 'member', $2 from unnest($1::uuid[]) as t (id) cross join users u`,
    [ids, new Date(start)],
  );
  const teams = ids.map((id) => ({
    id,
    model: model.newTeam(),
    past: [],
    grantKeys: new Map<string, string>(),
    firstReceipts: new Map<string, Receipt>(),
  }));
  const run: Run = { lane, catalog, now: start, teams, holds: [], requests: [], tally };
  await lane.setClock(start);
  for (const command of commands) {
    const touched = await play(run, command);
    for (const team of touched) {
      team.past.push({ at: run.now, model: structuredClone(team.model) });
      await expectSameBalance(run, team);
    }
  }
  for (const team of teams) if (team.past.length > 0) await expectEverythingAddsUp(run, team);
}

async function play(run: Run, command: Command): Promise<RunTeam[]> {
  switch (command.kind) {
    case 'wait':
      run.now += command.ms;
      await run.lane.setClock(run.now);
      return run.teams.filter((team) => team.past.length > 0);
    case 'requests':
      return sendRequests(run, command.sent);
    case 'subscribe':
      // A period begins at an instant without another event, so that earlier usage belongs to the previous period.
      await play(run, { kind: 'wait', ms: 1 });
      break;
  }
  const team = run.teams[command.team];
  if (!team) throw new Error('a run has two teams');
  if (command.kind === 'limit') {
    const { subject, id, credits, per } = command;
    await setLimit(run.lane.database, { teamId: team.id, subject, subjectId: id, credits, per });
    model.setLimit(team.model, { subject, id, credits, per });
    return [team];
  }
  if (command.kind === 'unlimit') {
    const limit = newest(team.model.limits, command.limit);
    if (limit) {
      await removeLimit(run.lane.database, { teamId: team.id, subject: limit.subject, subjectId: limit.id });
      model.removeLimit(team.model, limit);
    }
    return [team];
  }
  await run.lane.database.transaction(async (em) => {
    const { now } = await lockLivingTeam(em, team.id);
    await change(run, team, command, em, now);
    if (team.grantKeys.size < team.model.grants.length) await learnGrantKeys(em, team);
  });
  return [team];
}

type Change = Exclude<Command, { kind: 'wait' | 'requests' | 'limit' | 'unlimit' }>;
type Em = Parameters<typeof lockLivingTeam>[0];

async function change(run: Run, team: RunTeam, command: Change, em: Em, at: Date): Promise<void> {
  const { now } = run;
  switch (command.kind) {
    case 'grant': {
      const { source, lifetime, age } = command;
      const key = source === 'trial' ? `trial:${team.id}` : `${source}:${uuidv7()}`;
      const expiresAt = lifetime === null ? null : now + lifetime;
      const grant = { key, source, granted: command.credits, effectiveAt: now - age, expiresAt };
      await giveGrant(em, team, grant, at);
      return model.giveGrant(team.model, grant, now);
    }
    case 'grantAgain': {
      const grant = newest(team.model.grants, command.grant);
      if (!grant) return;
      await giveGrant(em, team, grant, at);
      return model.giveGrant(team.model, grant, now);
    }
    case 'buy': {
      const { paid, refunded, pays } = command;
      const credits = packCredits * BigInt(command.units);
      const order = { id: randomUUID(), credits, paid, refunded, stateAt: now, cycle: null, pays };
      await tellOrder(team, order, em, at);
      return model.tellOrder(team.model, order, now);
    }
    case 'subscribe': {
      const running = team.model.subscriptions.find(({ endedAt }) => endedAt === null);
      if (running?.start === now) return; // one payment starts one cycle
      const subscription = {
        id: running?.id ?? randomUUID(),
        start: now,
        end: now + command.length,
        endedAt: null,
      };
      const cycle = { subscription: subscription.id, start: subscription.start, end: subscription.end };
      const { paid } = command;
      const amounts = { credits: planCredits, paid, refunded: 0n };
      const order = { id: randomUUID(), ...amounts, stateAt: now, cycle, pays: true };
      await tellSubscription(team, subscription, em, at);
      await tellOrder(team, order, em, at);
      model.tellSubscription(team.model, subscription, now);
      return model.tellOrder(team.model, order, now);
    }
    case 'endSubscription': {
      const running = team.model.subscriptions.find(({ endedAt }) => endedAt === null);
      // An order made at the end is the final invoice, so a subscription never ends at the time of its payment.
      if (!running || running.start === now) return;
      await tellSubscription(team, { ...running, endedAt: now }, em, at);
      return model.tellSubscription(team.model, { ...running, endedAt: now }, now);
    }
    case 'tellOrder': {
      const known = newest(team.model.orders, command.order);
      if (!known) return;
      const stateAt = command.stale ? known.stateAt - 1 : now;
      const order = { ...known, refunded: command.refunded, stateAt, pays: command.pays };
      await tellOrder(team, order, em, at);
      return model.tellOrder(team.model, order, now);
    }
    case 'expire':
      await expireCredits(em, team.id, at);
      return model.expire(team.model, now);
    case 'adjust': {
      const { credits, lifetime } = command;
      const expiresAt = lifetime === null ? null : now + lifetime;
      const real = await adjust(team, { credits, expiresAt }, em);
      const key = 'refused' in real ? '' : `adjustment:${real.id}`;
      const expected = model.adjust(team.model, { key, credits, expiresAt }, now);
      const { id: _, ...answer } = { id: '', ...real };
      count(run, credits > 0n ? 'adjust up' : 'adjust down', answer);
      expect({ adjusted: answer }).toEqual({ adjusted: expected });
    }
  }
}

async function adjust(
  team: RunTeam,
  { credits, expiresAt }: { credits: bigint; expiresAt: number | null },
  em: Em,
): Promise<(AdjustmentAnswer & { id: string }) | RefusalAnswer> {
  try {
    const adjustment = {
      teamId: team.id,
      ...{ credits, reason: 'because', actor: 'a test' },
      expiresAt: expiresAt === null ? null : new Date(expiresAt),
    };
    const { id, grants, available } = await adjustCredits(em, adjustment);
    await learnGrantKeys(em, team);
    return {
      id,
      grants: grants.map(({ grantId, source, credits }) => ({
        grant: keyOf(team, grantId),
        source,
        credits,
      })),
      available,
    };
  } catch (error) {
    em.clear(); // none of it is written
    return refusal(error);
  }
}

type GrantFacts = Parameters<typeof model.giveGrant>[1];

async function giveGrant(em: Em, team: RunTeam, grant: GrantFacts, at: Date): Promise<void> {
  const { source, key, granted, effectiveAt, expiresAt } = grant;
  if ((await em.count(Grant, { businessKey: key })) > 0) return; // a repeated grant
  const made = {
    teamId: team.id,
    source,
    businessKey: key,
    credits: granted,
    effectiveAt: new Date(effectiveAt),
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
    catalogVersion: 1,
    ...(source === 'adjustment' ? { actor: 'a test', reason: 'because' } : {}), // a repeated grant
  };
  await grantCredits(em, made, at);
}

const policies = { renewalGrace: model.renewalGrace, lateAllotmentLife: model.lateLife };

async function tellOrder(
  team: RunTeam,
  order: Parameters<typeof model.tellOrder>[1],
  em: Em,
  at: Date,
): Promise<void> {
  const { id, credits, paid, refunded, stateAt, cycle, pays } = order;
  const period = cycle && { start: new Date(cycle.start), end: new Date(cycle.end) };
  const facts = {
    id,
    teamId: team.id,
    product: cycle ? 'starter_monthly' : 'pack_1000',
    subscriptionId: cycle?.subscription ?? null,
    currency: 'usd',
    paidAmount: paid,
    refundedAmount: refunded,
    createdAt: at,
    stateAt: new Date(stateAt),
    units: cycle ? 1 : Number(credits / packCredits),
  };
  const line = { amount: paid, proration: false, priceId: null, inTrial: false };
  const lines = [{ ...line, start: period?.start ?? null, end: period?.end ?? null }];
  const payment = { paidAt: at, lines, billsUsage: false, checkoutCatalogVersion: null };
  if (pays) await applyPaidOrder(em, { ...facts, ...payment }, policies, at);
  else await applyReversal(em, facts, policies, at);
}

async function tellSubscription(
  team: RunTeam,
  { id, start: from, end, endedAt }: Parameters<typeof model.tellSubscription>[1],
  em: Em,
  at: Date,
): Promise<void> {
  const facts = {
    id,
    teamId: team.id,
    plan: 'starter_monthly',
    status: endedAt === null ? 'active' : 'canceled',
    currentPeriodStart: new Date(from),
    currentPeriodEnd: new Date(end),
    cancelAtPeriodEnd: false,
    startedAt: new Date(from),
    endedAt: endedAt === null ? null : new Date(endedAt),
    stateAt: at,
  };
  await applySubscription(em, facts, { policies, fetched: true }, at);
}

/** Sends all of them before the ledger starts the first, so that they share a commit. */
async function sendRequests(run: Run, sent: readonly Sent[]): Promise<RunTeam[]> {
  const requests = sent.flatMap((one) => toRequest(run, one) ?? []);
  const replies = await Promise.allSettled(requests.map(({ team, request }) => send(run, team, request)));
  const touched = [...new Set(requests.map(({ team }) => team))];
  for (const team of touched) {
    const mine = requests.flatMap((one, index) =>
      one.team === team ? [{ ...one, reply: replies[index] }] : [],
    );
    const expected = model.answerRequests(
      team.model,
      mine.map(({ request }) => request),
      run.now,
    );
    const answers = mine.map(({ request, reply }) => hear(run, team, request, reply));
    for (const [index, answer] of answers.entries()) count(run, mine[index]?.request.kind ?? '', answer);
    expect({ answers }).toEqual({ answers: expected });
  }
  return touched;
}

function toRequest(run: Run, sent: Sent): { team: RunTeam; request: KeyedRequest } | null {
  if (sent.kind === 'again') {
    const earlier = newest(run.requests, sent.request);
    if (!earlier) return null;
    const { team, request } = earlier;
    // A new hold gets a new name. A replay returns the name of the first.
    const named = request.kind === 'hold' ? { ...request, name: randomUUID() } : request;
    return { team, request: sent.changed ? changed(named) : named };
  }
  if ('hold' in sent && sent.hold > 0 && run.holds.length === 0) return null;
  const key = sent.kind === 'lapse' ? null : randomUUID();
  const { team, request } = aimed(run, sent);
  if (!team) throw new Error('a run has two teams');
  const keyed = { ...request, key };
  if (key !== null) run.requests.push({ team, request: keyed });
  return { team, request: keyed };
}

function aimed(
  run: Run,
  sent: Exclude<Sent, { kind: 'again' }>,
): { team: RunTeam | undefined; request: Request } {
  if (sent.kind === 'spend') {
    const { kind, member, apiKey, age } = sent;
    const credits = creditsOf(run, sent);
    const occurredAt = age === null ? null : run.now - age;
    return { team: run.teams[sent.team], request: { kind, credits, member, apiKey, occurredAt } };
  }
  if (sent.kind === 'hold') {
    const { kind, member, apiKey, ttlMs } = sent;
    const credits = creditsOf(run, sent);
    return {
      team: run.teams[sent.team],
      request: { kind, name: randomUUID(), credits, member, apiKey, ttlMs },
    };
  }
  const held = newest(run.holds, sent.hold);
  const hold = held?.name ?? 'no such hold';
  const team = held?.team ?? run.teams[0];
  switch (sent.kind) {
    case 'capture': {
      const credits = sent.credits === 'the same' ? (held?.credits ?? 1n) : sent.credits;
      return { team, request: { kind: 'capture', hold, credits } };
    }
    case 'extend':
      return { team, request: { kind: 'extend', hold, ttlMs: sent.ttlMs } };
    case 'releaseOfAnotherTeam':
      return { team: run.teams.find((other) => other !== team), request: { kind: 'release', hold } };
    default:
      return { team, request: { kind: sent.kind, hold } };
  }
}

function creditsOf(run: Run, sent: { team: number; credits: bigint | 'all' }): bigint {
  if (sent.credits !== 'all') return sent.credits;
  const team = run.teams[sent.team]?.model ?? model.newTeam();
  return model.balanceOf(team, run.now).available;
}

/** The same key with another body. */
function changed(request: KeyedRequest): KeyedRequest {
  switch (request.kind) {
    case 'release':
    case 'lapse':
      return { key: request.key, kind: 'extend', hold: request.hold, ttlMs: 1 };
    case 'extend':
      return { ...request, ttlMs: request.ttlMs + 1 };
    default:
      return { ...request, credits: request.credits + 1n };
  }
}

function send(run: Run, team: RunTeam, request: KeyedRequest): Promise<Receipt | RealHoldAnswer> {
  const { creditOperations } = run.lane;
  const bodyHash = createHash('sha256').update(model.bodyOf(request)).digest();
  const keyed = { teamId: team.id, idempotencyKey: request.key, bodyHash };
  const usage = { action: 'workflow.run', priceVersion: 1 };
  if (request.kind === 'spend' || request.kind === 'hold') {
    const { credits, member, apiKey } = request;
    const consumer = { memberId: member ?? undefined, apiKeyId: apiKey ?? undefined };
    if (request.kind === 'hold') {
      return creditOperations.hold({
        ...keyed,
        ...usage,
        ...consumer,
        credits,
        ttlMs: request.ttlMs,
        maxTtlMs: longestHold,
        maxOpenHolds: 1_000,
      });
    }
    const { occurredAt } = request;
    const occurred = occurredAt === null ? undefined : { at: new Date(occurredAt), maxAgeMs: model.keysKept };
    return creditOperations.spend({ ...keyed, ...usage, ...consumer, priced: priced(credits), occurred });
  }
  const holdId = run.holds.find(({ name }) => name === request.hold)?.id ?? uuidv7();
  switch (request.kind) {
    case 'capture':
      return creditOperations.capture({ ...keyed, holdId, priced: priced(request.credits) });
    case 'extend':
      return creditOperations.extend({ ...keyed, holdId, ttlMs: request.ttlMs });
    case 'release':
      return creditOperations.release({ ...keyed, holdId });
    case 'lapse':
      return creditOperations.lapse({ ...keyed, idempotencyKey: null, holdId });
  }
}

function priced(credits: bigint) {
  const unitPrice = { credits: 1n, per: 1n };
  return { credits, lines: [{ meter: 'runs', quantity: credits * 1_000_000n, unitPrice, credits }] };
}

/** The ledger's answer, in the model's words. */
function hear(
  run: Run,
  team: RunTeam,
  request: KeyedRequest,
  reply: PromiseSettledResult<Receipt | RealHoldAnswer> | undefined,
): Answer {
  if (!reply) throw new Error('every request is answered');
  if (reply.status === 'rejected') return refusal(reply.reason);
  if ('status' in reply.value) {
    const { id, status, credits, expiresAt } = reply.value;
    if (request.kind === 'hold' && !run.holds.some((known) => known.id === id)) {
      run.holds.push({ name: request.name, id, team, credits: request.credits });
    }
    const hold = nameOf(run, id);
    return { hold, status, credits: parse(credits), expiresAt: Date.parse(expiresAt) };
  }
  const receipt = reply.value;
  if (request.key !== null && request.kind === 'spend') {
    // A replay is the same JSON value, not just the same figures.
    const first = team.firstReceipts.get(request.key) ?? receipt;
    team.firstReceipts.set(request.key, first);
    expect(receipt).toEqual(first);
  }
  return {
    credits: receipt.credits,
    grants: receipt.grants.map(({ grantId, source, credits }) => ({
      grant: keyOf(team, grantId),
      source,
      credits,
    })),
    available: receipt.balance.available,
    hold: receipt.holdId === null ? null : nameOf(run, receipt.holdId),
  };
}

function refusal(error: unknown): RefusalAnswer {
  if (!(error instanceof DomainError)) throw error;
  if (error.code !== 'insufficient_credits') return { refused: error.code };
  const { required, available } = error.details;
  return { refused: error.code, required: String(required), available: String(available) };
}

function count({ tally }: Run, kind: string, answer: object): void {
  const outcome = 'refused' in answer ? String(answer.refused) : 'done';
  tally.set(`${kind}: ${outcome}`, (tally.get(`${kind}: ${outcome}`) ?? 0) + 1);
}

/** The balance as callers read it. */
async function expectSameBalance(run: Run, team: RunTeam, at?: number): Promise<void> {
  const real = await readBalance(run.lane.database, team.id, at === undefined ? undefined : new Date(at));
  const then = at ?? run.now;
  const known = at === undefined ? team.model : team.past.findLast((past) => past.at <= at)?.model;
  const expected = model.balanceOf(known ?? model.newTeam(), then);
  const isOpen = ({ available, held }: { available: bigint; held: bigint }) => available + held > 0n;
  expect({
    ...{ at: new Date(then), available: real.available, held: real.held, debt: real.debt },
    nextExpiry: real.nextExpiry && { at: real.nextExpiry.at.getTime(), credits: real.nextExpiry.credits },
    open: real.grants.filter(isOpen).map((grant) => realGrant(team, grant)),
    usedUp: byKey(real.grants.filter((grant) => !isOpen(grant)).map((grant) => realGrant(team, grant))),
  }).toEqual({
    ...{ at: new Date(then), available: expected.available, held: expected.held, debt: expected.debt },
    nextExpiry: expected.nextExpiry,
    open: expected.open.map(modelGrant),
    usedUp: byKey(expected.usedUp.map(modelGrant)),
  });
  expect(Object.values(real.bySource).reduce((total, credits) => total + credits, 0n)).toBe(real.available);
}

function realGrant(team: RunTeam, { id, effectiveAt, expiresAt, ...grant }: Balance['grants'][number]) {
  return {
    ...grant,
    key: keyOf(team, id),
    effectiveAt: effectiveAt.getTime(),
    expiresAt: expiresAt?.getTime() ?? null,
  };
}

function modelGrant(grant: model.ModelGrant) {
  const { order: _order, cycle: _cycle, adjusted: _adjusted, livesUntil: _livesUntil, ...seen } = grant;
  return seen;
}

function byKey<G extends { key: string }>(grants: G[]): G[] {
  return grants.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

const columns = ['available', 'held', 'consumed', 'expired', 'revoked', 'settled'] as const;

/**
 * The rules that a balance does not show: sums of transfers, events and keys, debts, holds, limits, and past balances.
 */
async function expectEverythingAddsUp(run: Run, team: RunTeam): Promise<void> {
  const stored = await readStored(run, team);
  for (const grant of stored.grants) {
    const moved = stored.transfers.filter(({ grant_id }) => grant_id === grant.id);
    const sums = columns.map((column) => {
      const [to, from] = [
        moved.filter((t) => t.to_account === column),
        moved.filter((t) => t.from_account === column),
      ];
      return [column, sumOf(to) - sumOf(from)];
    });
    expect({ grant: grant.business_key, ...pick(grant) }).toEqual({
      grant: grant.business_key,
      granted: sumOf(moved.filter((t) => t.from_account === 'issued')),
      ...Object.fromEntries(sums),
    });
  }
  // Released credits of an expired grant expire at once, not when the timer fires.
  const late = stored.transfers.filter(({ grant_id, at, kind, to_account }) => {
    const expiresAt = stored.grants.find(({ id }) => id === grant_id)?.expires_at ?? null;
    const isOver = expiresAt !== null && Date.parse(at) > Date.parse(expiresAt);
    return isOver && kind === 'release' && to_account === 'available';
  });
  expect(late).toEqual([]);
  for (const event of stored.events) {
    const paid = stored.transfers.filter((t) => t.usage_event_id === event.id && t.to_account === 'consumed');
    const keys = stored.keys.filter(({ usage_event_id }) => usage_event_id === event.id);
    expect([event.id, sumOf(paid), keys.length]).toEqual([event.id, event.credits, 1]);
  }
  const ofEvents = stored.transfers.filter((t) => t.usage_event_id !== null);
  expect(sumOf(ofEvents)).toBe(sumOfCredits(stored.events));
  expect(stored.events.length).toBe(team.model.debits.length);
  expect(stored.keys.length).toBe(team.model.keys.size);
  for (const hold of stored.holds) expect([hold.id, hold.drawn]).toEqual([hold.id, hold.credits]);
  expect(stored.debts.map(({ key, owed, settled }) => [key, owed, settled]).sort()).toEqual(
    team.model.orders
      .flatMap(({ debt, ...order }) =>
        debt ? [[model.debtKey(order), Number(debt.owed), Number(model.paidFor(debt))]] : [],
      )
      .sort(),
  );
  if (team.model.limits.length > 0) await expectSameLimits(run, team);

  const times = [...new Set(team.past.map(({ at }) => at))];
  for (const share of [0.3, 0.7]) {
    const index = Math.floor(times.length * share);
    const [at = run.now, next = run.now] = times.slice(index, index + 2);
    await expectSameBalance(run, team, share < 0.5 ? at : at + Math.floor((next - at) / 2));
  }
}

/** The amounts of a run fit a number. */
interface Stored {
  grants: ({ id: string; business_key: string; granted: number; expires_at: string | null } & Record<
    (typeof columns)[number],
    number
  >)[];
  transfers: {
    grant_id: string;
    at: string;
    kind: string;
    from_account: string;
    to_account: string;
    amount: number;
    usage_event_id: string | null;
  }[];
  events: { id: string; credits: number }[];
  keys: { usage_event_id: string | null }[];
  holds: { id: string; credits: number; drawn: number }[];
  debts: { key: string; owed: number; settled: number }[];
}

async function readStored(run: Run, team: RunTeam): Promise<Stored> {
  const parts = {
    grants: 'select * from grants where team_id = $1',
    transfers: 'select * from transfers where team_id = $1',
    events: 'select id, credits from usage_events where team_id = $1',
    keys: 'select usage_event_id from idempotency_keys where scope = $1::text',
    holds: `select id, credits, (select coalesce(sum(d.credits), 0) from hold_draws d where d.hold_id = holds.id) as drawn
              from holds where team_id = $1`,
    debts: 'select * from debts where team_id = $1',
  };
  const columnsOf = Object.entries(parts).map(
    ([name, sql]) => `(select coalesce(json_agg(part), '[]') from (${sql}) as part) as ${name}`,
  );
  const { rows } = await run.lane.database.pool.query<Stored>({
    name: 'stored',
    text: `select ${columnsOf.join(', ')}`,
    values: [team.id],
  });
  const [stored] = rows;
  if (!stored) throw new Error('one row was asked for');
  return stored;
}

function pick({ granted, ...grant }: Stored['grants'][number]) {
  return { granted, ...Object.fromEntries(columns.map((column) => [column, grant[column]])) };
}

function sumOf(transfers: Stored['transfers']): number {
  return transfers.reduce((total, { amount }) => total + amount, 0);
}

function sumOfCredits(events: Stored['events']): number {
  return events.reduce((total, { credits }) => total + credits, 0);
}

async function expectSameLimits(run: Run, team: RunTeam): Promise<void> {
  const { data: real } = await listLimits(run.lane.database.fork(), team.id, { limit: 100 });
  const used = real.map(({ subject, subjectId, consumed, held }) => [subject, subjectId, consumed + held]);
  const expected = team.model.limits.map((limit) => {
    return [limit.subject, limit.id, model.usedUnder(team.model, limit, run.now)];
  });
  expect(used.sort()).toEqual(expected.sort());
}

async function learnGrantKeys(em: Em, team: RunTeam): Promise<void> {
  await em.flush(); // the keys are read by SQL
  const rows = await em.execute<{ id: string; business_key: string }[]>(
    'select id, business_key from grants where team_id = ?',
    [team.id],
  );
  for (const { id, business_key } of rows) team.grantKeys.set(id, business_key);
}

function keyOf(team: RunTeam, grantId: string): string {
  return team.grantKeys.get(grantId) ?? `unknown grant ${grantId}`;
}

function nameOf({ holds }: Run, id: string): string {
  return holds.find((hold) => hold.id === id)?.name ?? `unknown hold ${id}`;
}

function newest<T>(all: readonly T[], back: number): T | undefined {
  return all.at(-1 - (back % Math.max(all.length, 1)));
}

function parse(credits: string): bigint {
  const [whole = '0', fraction = ''] = credits.split('.');
  const micro = BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
  if (formatCredits(micro) !== credits) throw new Error(`${credits} is not in its canonical form`);
  return micro;
}
