import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { MICRO, parseDecimal } from '../../catalog/credits.ts';
import { priceUsage } from '../../catalog/price-usage.ts';
import { readCatalog } from '../../catalog/versions.ts';
import { BillingProblem } from '../../client/billing-error.ts';
import type { Role } from '../../database/entities/member.ts';
import { hasCode } from '../../domain-error.ts';
import type { Environment } from '../../environment.ts';
import { adjustCredits } from '../../ledger/lifecycle/adjust-credits.ts';
import { setAlerts } from '../../ledger/lifecycle/set-alerts.ts';
import { setLimit } from '../../ledger/spend/set-limit.ts';
import { changePlan } from '../../polar/change-subscription.ts';
import { createCheckout } from '../../polar/create-checkout.ts';
import { type Act, type Actor, environmentKeyId, recordAct } from '../../teams/actor.ts';
import { createTeam } from '../../teams/create-team.ts';
import { setMemberRole } from '../../teams/members.ts';
import { signUp } from '../../teams/sign-up.ts';
import { startTeamLifecycle, teamWorkflowId } from '../../workflows/messages.ts';
import { readBalance } from './balance.ts';
import { CannotGoOn, type Demo } from './connect.ts';
import { grouped, screen } from './screen.ts';
import { type Call, callsOfDay } from './seed/believable-usage.ts';
import { openPastStack, type PastStack } from './seed/past-stack.ts';

const days = 90;
const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** The hours of a day until which usage is written together. A limit counts it at these times. */
const writtenAtHours = [12, 16, 24];

/** Weights are shares of the team's runs. */
const people = [
  { short: 'olivia', name: 'Olivia Brandt', role: 'owner', weight: 2, joins: 0 },
  { short: 'amir', name: 'Amir Haddad', role: 'admin', weight: 4, joins: 1 },
  { short: 'bea', name: 'Bea Costa', role: 'billing', weight: 0, joins: 1 },
  { short: 'chen', name: 'Chen Wei', role: 'member', weight: 6, joins: 2 },
  { short: 'dana', name: 'Dana Novák', role: 'member', weight: 3, joins: 20 },
] as const satisfies { short: string; name: string; role: Role; weight: number; joins: number }[];
type Short = (typeof people)[number]['short'];

const teamName = 'Northwind Studio';
const service: Actor = { kind: 'service', keyId: environmentKeyId };
const anything = z.unknown();

/** `DATA_DIR/seed.json`: the seeded team. An interrupted seed has no team id, or is not complete. */
const seedFile = z.object({ attempt: z.int(), teamId: z.string().nullable(), complete: z.boolean() });
type Seed = z.output<typeof seedFile>;

export interface SeededTeam {
  teamId: string;
  ownerId: string;
  /** A user with the role `member`. */
  memberId: string;
}

/**
 * `npm run demo -- --seed`: fills a team of five with 90 days of use, for the page. HTTP cannot write the past, so the
 * product's own functions do, with a clock in the past: only on the stack's own database, never in production (`demo.ts`). A
 * second run adds nothing.
 *
 * @throws CannotGoOn without the Postgres of `npm start`
 */
export async function seedTeam(
  demo: Demo,
  { databaseUrl, databaseOwnerUrl }: Pick<Environment, 'databaseUrl' | 'databaseOwnerUrl'>,
): Promise<SeededTeam> {
  if (databaseOwnerUrl === undefined) {
    throw new CannotGoOn('The seed needs the Postgres of npm start: start the stack without DATABASE_URL');
  }
  const earlier = readSeed(demo);
  if (earlier?.complete && earlier.teamId !== null) {
    screen.done(`${teamName} is there already: nothing was added.`);
    return showWhere(demo, earlier);
  }
  if (earlier) await removeInterrupted(demo, earlier);
  const seed: Seed = { attempt: (earlier?.attempt ?? 0) + 1, teamId: null, complete: false };
  rememberSeed(demo, seed);

  screen.say(`${teamName}: ${days} days of a team of five`);
  const today = Math.floor(Date.now() / dayMs) * dayMs;
  const first = new Date(today - (days - 1) * dayMs);
  const past = await openPastStack(demo, {
    databaseUrl,
    ownerUrl: databaseOwnerUrl,
    start: new Date(first.getTime() + 8 * hourMs),
  });
  try {
    await live(demo, past, first, seed);
  } finally {
    await past.close();
  }
  for (const teamId of await teamsOf(demo, seed)) await startTeamLifecycle(demo.temporal, teamId);
  await holdCredits(demo, seed);
  seed.complete = true;
  rememberSeed(demo, seed);
  return showWhere(demo, seed);
}

/** Everything that happens to the team, day by day. */
async function live(demo: Demo, past: PastStack, first: Date, seed: Seed): Promise<void> {
  const { database } = past;
  const userOf = (short: Short): string => idOf(seed, short);
  const teamOf = (): string => teamIdOf(seed);
  const by = (short: Short): Actor => ({ kind: 'person', userId: userOf(short) });
  const record = (actor: Actor, act: Omit<Act, 'teamId'>) =>
    database.transaction((em) => recordAct(em, actor, { ...act, teamId: teamOf() }));

  const join = async ({ short, name, role }: (typeof people)[number]) => {
    const id = userOf(short);
    const { team, inboxId } = await signUp(database, { id, email: `${id}@example.com`, name }, service);
    await past.beginTeam(team.id, inboxId);
    if (role === 'owner') {
      const made = await database.transaction((em) =>
        createTeam(em, { name: teamName, ownerId: id, actor: by(short) }),
      );
      seed.teamId = made.id;
      rememberSeed(demo, seed);
      await past.beginTeam(made.id, made.inboxId);
    } else {
      await past.act(() =>
        database.transaction((em) =>
          setMemberRole(em, { teamId: teamOf(), userId: id, role, actor: service }),
        ),
      );
    }
  };
  /** @returns the id of the order, or of the subscription's first order */
  const buy = async (product: string): Promise<string> => {
    const { publicUrl } = demo;
    await past.act(async () => {
      const request = { teamId: teamOf(), product, successUrl: publicUrl, returnUrl: publicUrl };
      const { id } = await createCheckout(demo.polar, database, request);
      await demo.press(`/checkouts/${id}/pay`, anything);
    });
    const { items } = await demo.polar.orders.list({ external_customer_id: teamOf(), limit: 1 });
    const [order] = items;
    if (!order) throw new CannotGoOn(`Polar has no order for ${product}`);
    return order.id;
  };
  const limitTo = async (
    subject: 'member' | 'key',
    subjectId: string,
    credits: string,
    per: 'month' | 'day',
  ) => {
    await setLimit(database, { teamId: teamOf(), subject, subjectId, credits: parseDecimal(credits), per });
    await record(by('amir'), {
      action: 'limit.set',
      subject: `${subject}:${subjectId}`,
      after: { credits, per },
    });
  };
  let mistake = '';

  /** What happens on a day, at an hour, besides usage. */
  const happenings: { day: number; hour: number; run: () => Promise<unknown> }[] = [
    ...people.map((person) => ({ day: person.joins, hour: 8.5, run: () => join(person) })),
    { day: 9, hour: 10, run: () => buy('pack_1000') },
    { day: 14, hour: 9, run: () => buy('starter_monthly') },
    {
      day: 21,
      hour: 11,
      run: () =>
        database.transaction(async (em) => {
          const lowBalance = ['500', '20%'];
          const before = await setAlerts(em, teamOf(), lowBalance);
          const change = { action: 'alerts.set', before: { lowBalance: before }, after: { lowBalance } };
          await recordAct(em, by('bea'), { ...change, teamId: teamOf() });
        }),
    },
    {
      day: 37,
      hour: 14,
      run: () =>
        database.transaction(async (em) => {
          const gift = { credits: 100n * MICRO, reason: 'Sorry for the slow images this morning' };
          await adjustCredits(em, {
            ...gift,
            teamId: teamOf(),
            actor: 'service:support',
            expiresAt: new Date(past.now().getTime() + 30 * dayMs),
          });
          await recordAct(em, service, { action: 'credits.adjusted', teamId: teamOf(), reason: gift.reason });
        }),
    },
    { day: 40, hour: 9, run: () => limitTo('member', userOf('chen'), '2500', 'month') },
    { day: 40, hour: 9.1, run: () => limitTo('key', 'key_zapier', '200', 'day') },
    {
      day: 52,
      hour: 10,
      run: () =>
        past.act(() =>
          changePlan(demo.polar, database, {
            teamId: teamOf(),
            plan: 'pro_monthly',
            beforeChange: () => record(by('olivia'), { action: 'subscription.changed' }),
          }),
        ),
    },
    { day: 62, hour: 15, run: async () => (mistake = await buy('pack_1000')) },
    {
      day: 63,
      hour: 10,
      run: () => past.act(() => demo.press(`/orders/${mistake}/refund`, anything, { reason: 'duplicate' })),
    },
  ];

  let written = 0;
  let refused = 0;
  for (let day = 0; day < days; day++) {
    const at = (hour: number) => new Date(first.getTime() + day * dayMs + hour * hourMs);
    const members = people
      .filter(({ joins }) => joins <= day)
      .map((one) => ({ ...one, id: userOf(one.short) }));
    const calls =
      day === 0 ? [] : callsOfDay(first, day, members).filter((call) => call.at.getTime() < Date.now());
    const moments = [
      ...happenings.filter((one) => one.day === day).map(({ hour, run }) => ({ until: at(hour), run })),
      ...writtenAtHours.map((hour) => ({ until: at(hour), run: null })),
    ].sort((a, b) => a.until.getTime() - b.until.getTime());
    for (const { until, run } of moments) {
      const ended = new Date(Math.min(until.getTime() - (run ? 0 : 1), Date.now()));
      if (ended < past.now()) continue;
      await past.advanceTo(ended);
      if (run) await run();
      else {
        const due = calls.splice(0, calls.filter((call) => call.at <= ended).length);
        refused += await writeCalls(past, teamOf(), due, written);
        written += due.length;
      }
    }
    screen.waitsFor(`day ${day + 1} of ${days}`, 0);
  }
  screen.waitIsOver();
  screen.ok(`${written - refused} usage events${refused > 0 ? `, and ${refused} that were refused` : ''}`);
}

/** Writes calls in one group commit. @returns how many were refused: not enough credits, or a limit */
async function writeCalls(
  { database, creditOperations }: PastStack,
  teamId: string,
  calls: readonly Call[],
  before: number,
): Promise<number> {
  const { catalog, catalogVersion } = await readCatalog(database);
  const outcomes = await Promise.all(
    calls.map(async ({ at, action, quantities, ...attribution }, index) => {
      const micro = Object.entries(quantities).map(([meter, amount]) => [meter, BigInt(amount) * MICRO]);
      const idempotencyKey = `seed:${before + index}`;
      try {
        await creditOperations.spend({
          teamId,
          idempotencyKey,
          bodyHash: createHash('sha256').update(idempotencyKey).digest(),
          action,
          priced: priceUsage(catalog, action, Object.fromEntries(micro)),
          priceVersion: catalogVersion,
          occurred: { at, maxAgeMs: catalog.policies.idempotencyKeysKept },
          ...attribution,
        });
        return 0;
      } catch (error) {
        if (hasCode(error, 'insufficient_credits') || hasCode(error, 'limit_reached')) return 1;
        throw error;
      }
    }),
  );
  return outcomes.reduce<number>((sum, one) => sum + one, 0);
}

/** Credits that a running job has set aside, for an hour, over HTTP and at the real time. */
async function holdCredits(demo: Demo, seed: Seed): Promise<void> {
  await demo.billing.POST('/v1/teams/{teamId}/holds', {
    params: { path: { teamId: teamIdOf(seed) }, header: { 'Idempotency-Key': 'seed:hold' } },
    body: {
      action: 'model.gpt-5',
      credits: '40',
      ttlSeconds: 3_600,
      memberId: idOf(seed, 'amir'),
      runId: 'run_in_progress',
      tags: { workflow: 'write-article' },
    },
  });
}

async function showWhere(demo: Demo, seed: Seed): Promise<SeededTeam> {
  const teamId = teamIdOf(seed);
  const balance = await readBalance(demo, teamId);
  screen.ok(`${grouped(balance.available)} credits available, ${grouped(balance.held)} held`);
  screen.say();
  screen.say('Look at');
  screen.rows([
    ['the page', `${demo.publicUrl}/dev/sign-in`],
    ['the team', teamId],
    ...people.map(({ short, name, role }) => [`sign in as ${idOf(seed, short)}`, `${name}, ${role}`]),
    ['its usage by day', `GET /v1/teams/${teamId}/usage?groupBy=day,model`],
    ...(demo.temporalUi
      ? [
          [
            'its workflow',
            `${demo.temporalUi}/namespaces/${demo.temporal.options.namespace}/workflows/${encodeURIComponent(teamWorkflowId(teamId))}`,
          ],
        ]
      : []),
    ['its customer at Polar', demo.polarUrl],
  ]);
  return { teamId, ownerId: idOf(seed, 'olivia'), memberId: idOf(seed, 'chen') };
}

/** The seeded team and the Personal Teams of its members. */
async function teamsOf(demo: Demo, seed: Seed): Promise<string[]> {
  const found = new Set<string>();
  for (const { short } of people) {
    for await (const { id } of demo.billingOf(idOf(seed, short)).list('/v1/teams')) found.add(id);
  }
  return [...found];
}

/** A seed that was interrupted leaves a part of the team: the team and its users are deleted. */
async function removeInterrupted(demo: Demo, seed: Seed): Promise<void> {
  screen.say('An earlier seed was interrupted: its team is deleted');
  const unlessGone = (error: unknown) => {
    if (!(error instanceof BillingProblem && error.status === 404)) throw error;
  };
  if (seed.teamId !== null) {
    await demo
      .billingOf(idOf(seed, 'olivia'))
      .DELETE('/v1/teams/{teamId}', { params: { path: { teamId: seed.teamId } } })
      .catch(unlessGone);
  }
  for (const { short } of people) {
    await demo.billing
      .DELETE('/v1/users/{userId}', { params: { path: { userId: idOf(seed, short) } } })
      .catch(unlessGone);
  }
}

function teamIdOf({ teamId }: Seed): string {
  if (teamId === null) throw new Error('the team is not created yet');
  return teamId;
}

/** A user who was erased leaves an id that cannot be used again. */
function idOf({ attempt }: Seed, short: Short): string {
  return attempt === 1 ? `northwind_${short}` : `northwind${attempt}_${short}`;
}

function readSeed(demo: Demo): Seed | null {
  try {
    return seedFile.parse(JSON.parse(readFileSync(fileOf(demo), 'utf8')));
  } catch {
    return null; // the first seed on this stack
  }
}

function rememberSeed(demo: Demo, seed: Seed): void {
  writeFileSync(fileOf(demo), `${JSON.stringify(seed, null, 2)}\n`, { mode: 0o600 });
}

function fileOf({ dataDir }: Demo): string {
  return join(dataDir, 'seed.json');
}
