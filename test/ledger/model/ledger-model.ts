import { formatCredits } from '../../../catalog/credits.ts';
import type { GrantSource } from '../../../database/entities/grant.ts';

/**
 * The rules of the ledger in the simplest form: one team's credits as arrays in memory, one function for each command,
 * no locks, no SQL, no batches. It shares no code with the ledger, so that the two can disagree. Times are epoch
 * milliseconds, credits are micro-credits.
 */
export interface ModelTeam {
  grants: ModelGrant[];
  holds: ModelHold[];
  orders: ModelOrder[];
  subscriptions: ModelSubscription[];
  /** User ids. */
  members: string[];
  limits: ModelLimit[];
  debits: { member: string | null; apiKey: string | null; credits: bigint; at: number }[];
  keys: Map<string, { body: string; answer: Answer }>;
}

export interface ModelGrant {
  /** The order's business key. */
  key: string;
  source: GrantSource;
  granted: bigint;
  available: bigint;
  held: bigint;
  consumed: bigint;
  expired: bigint;
  revoked: bigint;
  /** The part of the revoked credits that adjustments took. No reversal of a refund gives it back. */
  adjusted: bigint;
  settled: bigint;
  effectiveAt: number;
  expiresAt: number | null;
  /** Set if credits came back after their expiry. */
  livesUntil: number | null;
  order: string | null;
  cycle: { subscription: string; start: number; end: number } | null;
}

interface ModelHold {
  name: string;
  credits: bigint;
  member: string | null;
  apiKey: string | null;
  status: 'open' | 'captured' | 'released' | 'lapsed';
  expiresAt: number;
  latestExpiry: number;
  draws: Part[];
  receipt: ReceiptAnswer | null;
}

interface ModelOrder {
  id: string;
  credits: bigint;
  paid: bigint;
  refunded: bigint;
  stateAt: number;
  granted: boolean;
  cycle: ModelGrant['cycle'];
  debt: ModelDebt | null;
}

/** Credits that a clawback could not take, and the grants that have paid for them since. */
interface ModelDebt {
  owed: bigint;
  payments: Map<string, bigint>;
  createdAt: number;
}

interface ModelSubscription {
  id: string;
  start: number;
  end: number;
  endedAt: number | null;
}

export interface ModelLimit {
  subject: 'member' | 'key';
  id: string;
  credits: bigint;
  per: 'day' | 'month' | 'cycle';
}

interface Part {
  grant: string;
  credits: bigint;
}

/** A request on the hot path. Holds are identified by the name that the model gave them. */
export type Request =
  | {
      kind: 'spend';
      credits: bigint;
      member: string | null;
      apiKey: string | null;
      occurredAt: number | null;
    }
  | {
      kind: 'hold';
      name: string;
      credits: bigint;
      member: string | null;
      apiKey: string | null;
      ttlMs: number;
    }
  | { kind: 'capture'; hold: string; credits: bigint }
  | { kind: 'release' | 'lapse'; hold: string }
  | { kind: 'extend'; hold: string; ttlMs: number };

export type KeyedRequest = Request & { key: string | null };

export type Answer = ReceiptAnswer | HoldAnswer | RefusalAnswer;
export interface ReceiptAnswer {
  credits: bigint;
  grants: { grant: string; source: GrantSource; credits: bigint }[];
  available: bigint;
  hold: string | null;
}
export interface HoldAnswer {
  hold: string;
  status: 'open' | 'released';
  credits: bigint;
  expiresAt: number;
}
export type AdjustmentAnswer = Pick<ReceiptAnswer, 'grants' | 'available'>;
export interface RefusalAnswer {
  refused: string;
  required?: string;
  available?: string;
}

export const day = 86_400_000;
export const keysKept = 90 * day;
export const longestHold = day;
export const renewalGrace = 3_600_000;
export const lateLife = 7 * 86_400_000;

export function newTeam(): ModelTeam {
  return {
    grants: [],
    holds: [],
    orders: [],
    subscriptions: [],
    members: ['ada', 'bob'],
    limits: [],
    debits: [],
    keys: new Map(),
  };
}

/**
 * Concurrent requests are decided one after another. If one of them has not enough credits or exceeds a limit, the
 * team's lapsed holds are released before all of them.
 */
export function answerRequests(team: ModelTeam, requests: KeyedRequest[], now: number): Answer[] {
  expire(team, now);
  const attempt = structuredClone(team);
  const answers = requests.map((request) => answer(attempt, request, now));
  const anyShort = answers.some((given) => 'refused' in given && /^(insuff|limit)/.test(given.refused));
  if (!anyShort) {
    Object.assign(team, attempt);
    return answers;
  }
  for (const hold of team.holds) if (isLapsed(hold, now)) free(team, hold, 'lapsed', now);
  return requests.map((request) => answer(team, request, now));
}

function answer(team: ModelTeam, request: KeyedRequest, now: number): Answer {
  const body = bodyOf(request);
  const known = request.key === null ? undefined : team.keys.get(request.key);
  if (known) return known.body === body ? known.answer : { refused: 'idempotency_conflict' };
  const { answer: given, replay } = decide(team, request, now);
  // A refusal is not recorded, and neither is the repeated answer to an earlier capture.
  if (request.key !== null && !('refused' in given) && !replay)
    team.keys.set(request.key, { body, answer: given });
  return given;
}

/** The identity of a keyed request: the request without its key, and without the name that the answer gives. */
export function bodyOf({ key: _, ...request }: KeyedRequest): string {
  const { name: _name, ...body } = { name: '', ...request };
  return JSON.stringify(body, (_key, value) => (typeof value === 'bigint' ? `${value}` : value));
}

function decide(team: ModelTeam, request: Request, now: number): { answer: Answer; replay?: true } {
  switch (request.kind) {
    case 'spend':
      return { answer: spend(team, request, now) };
    case 'hold':
      return { answer: hold(team, request, now) };
  }
  const found = team.holds.find(({ name }) => name === request.hold);
  if (!found) return { answer: { refused: 'unknown_hold' } };
  switch (request.kind) {
    case 'capture':
      return capture(team, found, request.credits, now);
    case 'release':
      if (found.status !== 'released') {
        const refused = refuseUnlessOpen(found, now);
        if (refused) return { answer: refused };
        free(team, found, 'released', now);
      }
      return { answer: stand(found) };
    case 'lapse':
      if (isLapsed(found, now)) free(team, found, 'lapsed', now);
      return { answer: stand(found) };
    case 'extend': {
      const refused = refuseUnlessOpen(found, now);
      if (refused) return { answer: refused };
      if (now + request.ttlMs > found.latestExpiry) return { answer: { refused: 'hold_too_long' } };
      found.expiresAt = Math.max(found.expiresAt, now + request.ttlMs);
      return { answer: stand(found) };
    }
  }
}

function spend(team: ModelTeam, request: Extract<Request, { kind: 'spend' }>, now: number): Answer {
  const { credits, member, apiKey, occurredAt } = request;
  if (occurredAt !== null && (occurredAt < now - keysKept || occurredAt > now + 300_000))
    return { refused: 'occurred_at_out_of_range' };
  const refused = refuseConsumer(team, { member, apiKey }, credits, credits, now);
  if (refused) return refused;
  const grants = draw(team, credits, 'consumed', now);
  team.debits.push({ member, apiKey, credits, at: now });
  return receipt(team, grants, null, now);
}

function hold(team: ModelTeam, request: Extract<Request, { kind: 'hold' }>, now: number): Answer {
  const { name, credits, member, apiKey, ttlMs } = request;
  const refused = refuseConsumer(team, { member, apiKey }, credits, credits, now);
  if (refused) return refused;
  const draws = draw(team, credits, 'held', now);
  const [expiresAt, latestExpiry] = [now + ttlMs, now + longestHold];
  const made: ModelHold = {
    ...{ name, credits, member, apiKey, expiresAt, latestExpiry, draws },
    status: 'open',
    receipt: null,
  };
  team.holds.push(made);
  return stand(made);
}

/**
 * Captures once. Held credits pay first, in burn order, even if they have expired meanwhile. The rest comes from the
 * balance, under the limits.
 */
function capture(
  team: ModelTeam,
  held: ModelHold,
  credits: bigint,
  now: number,
): { answer: Answer; replay?: true } {
  if (held.receipt) {
    const same = held.receipt.credits === credits;
    return same ? { answer: held.receipt, replay: true } : { answer: { refused: 'hold_captured' } };
  }
  const excess = credits > held.credits ? credits - held.credits : 0n;
  const refused =
    refuseUnlessOpen(held, now) ??
    (excess > 0n ? refuseConsumer(team, { ...held, captures: true }, excess, credits, now) : null);
  if (refused) return { answer: refused };

  let left = credits;
  const parts: Part[] = [];
  const rest: Part[] = [];
  for (const drawn of inBurnOrder(team.grants)) {
    const part = held.draws.find(({ grant }) => grant === drawn.key);
    if (!part) continue;
    const used = part.credits < left ? part.credits : left;
    left -= used;
    drawn.held -= used;
    drawn.consumed += used;
    if (used > 0n) parts.push({ grant: drawn.key, credits: used });
    if (used < part.credits) rest.push({ grant: drawn.key, credits: part.credits - used });
  }
  for (const part of draw(team, excess, 'consumed', now)) {
    const same = parts.find(({ grant }) => grant === part.grant);
    if (same) same.credits += part.credits;
    else parts.push(part);
  }
  held.status = 'captured';
  for (const part of rest) giveBack(team, part, now);
  settle(team, now);
  team.debits.push({ member: held.member, apiKey: held.apiKey, credits, at: now });
  held.receipt = receipt(team, parts, held.name, now);
  return { answer: held.receipt };
}

/** Releases all credits of a hold. */
function free(team: ModelTeam, held: ModelHold, status: 'released' | 'lapsed', now: number): void {
  held.status = status;
  for (const grant of inBurnOrder(team.grants)) {
    const part = held.draws.find((drawn) => drawn.grant === grant.key);
    if (part) giveBack(team, part, now);
  }
  settle(team, now);
}

/**
 * Released credits of an expired grant expire. Those of an order with a debt pay it first. The rest pays debts or is
 * available.
 */
function giveBack(team: ModelTeam, { grant: key, credits }: Part, now: number): void {
  const grant = grantOf(team, key);
  const debt = orderOf(team, grant.order)?.debt;
  const paid = debt ? min(credits, outstanding(debt)) : 0n;
  const isOver = grant.expiresAt !== null && grant.expiresAt <= now;
  grant.held -= credits;
  if (isOver) grant.expired += credits;
  else {
    grant.revoked += paid;
    grant.available += credits - paid;
  }
  if (debt) debt.owed -= paid;
}

/** Grants credits once per key. */
export function giveGrant(
  team: ModelTeam,
  grant: Pick<ModelGrant, 'key' | 'source' | 'granted' | 'effectiveAt' | 'expiresAt'> &
    Partial<Pick<ModelGrant, 'order' | 'cycle'>>,
  now: number,
): void {
  expire(team, now);
  if (team.grants.some(({ key }) => key === grant.key)) return;
  const empty = { held: 0n, consumed: 0n, expired: 0n, revoked: 0n, adjusted: 0n, settled: 0n };
  team.grants.push({
    order: null,
    cycle: null,
    livesUntil: null,
    ...empty,
    ...grant,
    available: grant.granted,
  });
  expire(team, now);
  settle(team, now);
}

/** An order in its state at Polar: its credits are granted once, and a refund takes them back. */
export function tellOrder(
  team: ModelTeam,
  told: Pick<ModelOrder, 'id' | 'credits' | 'paid' | 'refunded' | 'stateAt' | 'cycle'> & { pays: boolean },
  now: number,
): void {
  expire(team, now);
  let order = orderOf(team, told.id);
  if (!order) {
    order = { ...told, granted: false, debt: null };
    team.orders.push(order);
  } else if (told.stateAt >= order.stateAt) {
    order.refunded = told.refunded;
    order.stateAt = told.stateAt;
  }
  if (told.pays && !order.granted) {
    order.granted = true;
    const { credits: granted, cycle } = told;
    const key = cycle
      ? `allotment:${cycle.subscription}:${new Date(cycle.start).toISOString()}`
      : `order:${told.id}`;
    const dates = cycle
      ? { effectiveAt: cycle.start, expiresAt: cycle.end + renewalGrace }
      : { effectiveAt: now, expiresAt: null };
    const source = cycle ? 'subscription' : 'purchase';
    giveGrant(team, { key, source, granted, ...dates, order: told.id, cycle }, now);
    if (cycle) alignCycles(team, cycle.subscription, now);
  }
  clawBack(team, order, now);
}

/** A subscription's newest state: a new one, one whose next period has begun, or one that has ended. */
export function tellSubscription(team: ModelTeam, told: ModelSubscription, now: number): void {
  expire(team, now);
  team.subscriptions = [...team.subscriptions.filter(({ id }) => id !== told.id), told];
  alignCycles(team, told.id, now);
}

/**
 * A cycle's credits expire at its end plus the grace, when the next allotment starts, or when the subscription ends.
 */
function alignCycles(team: ModelTeam, subscription: string, now: number): void {
  const ended = team.subscriptions.find(({ id }) => id === subscription)?.endedAt ?? Number.POSITIVE_INFINITY;
  const cycles = team.grants.filter(({ cycle }) => cycle?.subscription === subscription);
  for (const grant of cycles) {
    const { start, end } = grant.cycle ?? { start: 0, end: 0 };
    const later = cycles.map(({ cycle }) => cycle?.start ?? 0).filter((other) => other > start);
    grant.expiresAt = Math.max(grant.livesUntil ?? 0, Math.min(end + renewalGrace, ended, ...later));
  }
  expire(team, now);
}

/**
 * Moves an order's clawback to floor(granted × reversed / paid). Expired credits count first, adjusted credits count
 * as used, settled credits stay settled while needed, available credits are revoked, the rest is owed.
 */
function clawBack(team: ModelTeam, order: ModelOrder, now: number): void {
  const mine = inBurnOrder(team.grants.filter((grant) => grant.order === order.id));
  const granted = sum(mine, 'granted');
  const unpaid = min(order.refunded, order.paid);
  const target = order.paid === 0n ? 0n : (granted * unpaid) / order.paid;

  let tooMuch = max(sum(mine, 'revoked') - sum(mine, 'adjusted') - target, 0n);
  for (const grant of mine.toReversed()) {
    const back = min(grant.revoked - grant.adjusted, tooMuch);
    grant.revoked -= back;
    grant.available += back;
    tooMuch -= back;
    if (back > 0n) letLive(grant, now);
  }
  expire(team, now);
  const clawed = sum(mine, 'revoked') - sum(mine, 'adjusted');
  const kept = min(order.debt ? paidFor(order.debt) : 0n, max(target - clawed, 0n));
  let missing = max(target - clawed - sum(mine, 'expired') - kept, 0n);
  for (const grant of mine) {
    const taken = min(grant.available, missing);
    grant.available -= taken;
    grant.revoked += taken;
    missing -= taken;
  }
  owe(team, order, kept + missing, now);
  expire(team, now);
  settle(team, now);
}

/** Sets the debt of an order. Grants that paid too much get it back, the last in burn order first. */
function owe(team: ModelTeam, order: ModelOrder, owed: bigint, now: number): void {
  if (!order.debt && owed === 0n) return;
  order.debt ??= { owed, payments: new Map(), createdAt: now };
  const { payments } = order.debt;
  order.debt.owed = owed;
  let tooMuch = max(paidFor(order.debt) - owed, 0n);
  for (const grant of inBurnOrder(team.grants).toReversed()) {
    const back = min(payments.get(grant.key) ?? 0n, tooMuch);
    payments.set(grant.key, (payments.get(grant.key) ?? 0n) - back);
    grant.settled -= back;
    grant.available += back;
    tooMuch -= back;
    if (back > 0n) letLive(grant, now);
  }
}

/** Credits that come back after their expiry can be spent for a while. */
function letLive(grant: ModelGrant, now: number): void {
  if (grant.expiresAt === null || grant.expiresAt > now) return;
  grant.livesUntil = now + lateLife;
  grant.expiresAt = grant.livesUntil;
}

/** The key of a debt: a pack's order, or a subscription's cycle. */
export function debtKey({ id, cycle }: Pick<ModelOrder, 'id' | 'cycle'>): string {
  return cycle ? `cycle:${cycle.subscription}:${new Date(cycle.start).toISOString()}` : `order:${id}`;
}

/**
 * Debts are paid at once, oldest first, from spendable credits in burn order; a subscription's debt never from
 * lifetime credits.
 */
function settle(team: ModelTeam, now: number): void {
  const indebted = team.orders.flatMap(({ id, cycle, debt }) =>
    debt ? [{ key: debtKey({ id, cycle }), cycle, debt }] : [],
  );
  indebted.sort((a, b) => a.debt.createdAt - b.debt.createdAt || (a.key < b.key ? -1 : 1));
  for (const { cycle, debt } of indebted) {
    for (const grant of spendable(team, now)) {
      if (cycle && grant.expiresAt === null) continue;
      const paid = min(grant.available, outstanding(debt));
      grant.available -= paid;
      grant.settled += paid;
      debt.payments.set(grant.key, (debt.payments.get(grant.key) ?? 0n) + paid);
    }
  }
}

/** An adjustment: gives credits as a separate grant, or takes spendable credits in burn order. */
export function adjust(
  team: ModelTeam,
  { key, credits, expiresAt }: { key: string; credits: bigint; expiresAt: number | null },
  now: number,
): AdjustmentAnswer | RefusalAnswer {
  expire(team, now);
  if (credits > 0n) {
    if (expiresAt !== null && expiresAt <= now) return { refused: 'expires_in_the_past' };
    giveGrant(team, { key, source: 'adjustment', granted: credits, effectiveAt: now, expiresAt }, now);
    const grants = [{ grant: key, source: 'adjustment' as const, credits }];
    return { grants, available: sum(spendable(team, now), 'available') };
  }
  const refused = refuseIfShort(team, -credits, -credits, now);
  if (refused) return refused;
  const parts = draw(team, -credits, 'revoked', now);
  for (const part of parts) grantOf(team, part.grant).adjusted += part.credits;
  const { grants, available } = receipt(team, parts, null, now);
  return { grants, available };
}

export function setLimit(team: ModelTeam, limit: ModelLimit): void {
  removeLimit(team, limit);
  team.limits.push(limit);
}

export function removeLimit(team: ModelTeam, limit: ModelLimit): void {
  team.limits = team.limits.filter(({ subject, id }) => subject !== limit.subject || id !== limit.id);
}

/** Expired credits count as expired before the transfer is written. */
export function expire(team: ModelTeam, now: number): void {
  for (const grant of team.grants) {
    if (grant.expiresAt === null || grant.expiresAt > now) continue;
    grant.expired += grant.available;
    grant.available = 0n;
  }
}

/** The state of a team at an instant after which nothing has happened. */
export function balanceOf(past: ModelTeam, at: number) {
  const team = structuredClone(past);
  expire(team, at);
  const open = inBurnOrder(team.grants.filter((grant) => grant.available + grant.held > 0n));
  const soonest = Math.min(
    ...open.flatMap(({ available, expiresAt }) => (available > 0n && expiresAt ? [expiresAt] : [])),
  );
  const next = open.filter(({ expiresAt }) => expiresAt === soonest);
  return {
    available: sum(open, 'available'),
    held: sum(open, 'held'),
    debt: team.orders.reduce((total, { debt }) => total + (debt ? outstanding(debt) : 0n), 0n),
    nextExpiry: next.length > 0 ? { at: soonest, credits: sum(next, 'available') } : null,
    /** In burn order, used up grants separately. */
    open,
    usedUp: team.grants.filter((grant) => grant.available + grant.held === 0n),
  };
}

/** The credits that a limit's subject has used in the limit's window. Open holds count. */
export function usedUnder(team: ModelTeam, limit: ModelLimit, now: number): bigint {
  const isTheirs = ({ member, apiKey }: { member: string | null; apiKey: string | null }) =>
    (limit.subject === 'member' ? member : apiKey) === limit.id;
  const since = windowStart(team, limit.per, now);
  const debits = team.debits.filter((debit) => debit.at >= since && isTheirs(debit));
  const holds = team.holds.filter((hold) => hold.status === 'open' && isTheirs(hold));
  return [...debits, ...holds].reduce((total, { credits }) => total + credits, 0n);
}

function windowStart(team: ModelTeam, per: ModelLimit['per'], now: number): number {
  const running = team.subscriptions.filter(({ endedAt }) => endedAt === null).at(-1);
  if (per === 'cycle' && running) return running.start;
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), per === 'day' ? date.getUTCDate() : 1);
}

/** @param required  the need of the whole request, if this is only its excess over a hold */
function refuseConsumer(
  team: ModelTeam,
  consumer: { member: string | null; apiKey: string | null; captures?: boolean },
  credits: bigint,
  required: bigint,
  now: number,
): RefusalAnswer | null {
  if (team.limits.some(({ subject }) => subject === 'member') && !consumer.captures) {
    if (consumer.member === null) return { refused: 'member_required' };
    if (!team.members.includes(consumer.member)) return { refused: 'member_not_in_team' };
  }
  const short = refuseIfShort(team, credits, required, now);
  if (short) return short;
  const isOver = team.limits.some((limit) => {
    const binds = limit.id === (limit.subject === 'member' ? consumer.member : consumer.apiKey);
    return binds && credits > 0n && usedUnder(team, limit, now) + credits > limit.credits;
  });
  return isOver ? { refused: 'limit_reached' } : null;
}

function refuseIfShort(
  team: ModelTeam,
  credits: bigint,
  required: bigint,
  now: number,
): RefusalAnswer | null {
  const spare = sum(spendable(team, now), 'available');
  if (spare >= credits) return null;
  const available = formatCredits(required - credits + spare);
  return { refused: 'insufficient_credits', required: formatCredits(required), available };
}

function refuseUnlessOpen(held: ModelHold, now: number): RefusalAnswer | null {
  if (held.status === 'lapsed' || isLapsed(held, now)) return { refused: 'hold_expired' };
  return held.status === 'open' ? null : { refused: `hold_${held.status}` };
}

function isLapsed({ status, expiresAt }: ModelHold, now: number): boolean {
  return status === 'open' && expiresAt <= now;
}

/** Takes spendable credits, soonest expiry first. There are enough. */
function draw(team: ModelTeam, credits: bigint, to: 'consumed' | 'held' | 'revoked', now: number): Part[] {
  const parts: Part[] = [];
  let left = credits;
  for (const grant of spendable(team, now)) {
    const taken = min(grant.available, left);
    grant.available -= taken;
    grant[to] += taken;
    left -= taken;
    if (taken > 0n) parts.push({ grant: grant.key, credits: taken });
  }
  return parts;
}

function receipt(team: ModelTeam, parts: Part[], hold: string | null, now: number): ReceiptAnswer {
  return {
    credits: parts.reduce((total, { credits }) => total + credits, 0n),
    grants: parts.map(({ grant, credits }) => ({ grant, source: grantOf(team, grant).source, credits })),
    available: sum(spendable(team, now), 'available'),
    hold,
  };
}

function stand({ name, status, credits, expiresAt }: ModelHold): HoldAnswer {
  return { hold: name, status: status === 'open' ? 'open' : 'released', credits, expiresAt };
}

function spendable(team: ModelTeam, now: number): ModelGrant[] {
  return inBurnOrder(
    team.grants.filter(
      ({ available, expiresAt }) => available > 0n && (expiresAt === null || expiresAt > now),
    ),
  );
}

function inBurnOrder(grants: ModelGrant[]): ModelGrant[] {
  const rank = { trial: 1, subscription: 2, adjustment: 3, purchase: 4 };
  const last = Number.MAX_SAFE_INTEGER;
  return grants.toSorted(
    (a, b) =>
      (a.expiresAt ?? last) - (b.expiresAt ?? last) ||
      rank[a.source] - rank[b.source] ||
      a.effectiveAt - b.effectiveAt ||
      (a.key < b.key ? -1 : 1),
  );
}

function grantOf(team: ModelTeam, key: string): ModelGrant {
  const grant = team.grants.find((candidate) => candidate.key === key);
  if (!grant) throw new Error(`the model has no grant ${key}`);
  return grant;
}

function orderOf(team: ModelTeam, id: string | null): ModelOrder | undefined {
  return team.orders.find((order) => order.id === id);
}

function outstanding(debt: ModelDebt): bigint {
  return debt.owed - paidFor(debt);
}

/** The payments of other grants for a debt. */
export function paidFor({ payments }: ModelDebt): bigint {
  return [...payments.values()].reduce((total, paid) => total + paid, 0n);
}

function sum(
  grants: ModelGrant[],
  column: 'granted' | 'available' | 'held' | 'expired' | 'revoked' | 'adjusted',
): bigint {
  return grants.reduce((total, grant) => total + grant[column], 0n);
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
