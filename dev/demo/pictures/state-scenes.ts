import type { Page } from 'playwright-core';
import { z } from 'zod';
import { waitUntil } from '../check.ts';
import type { Demo } from '../connect.ts';
import { loaded, type Scene } from './scene.ts';

const anything = z.unknown();
const dayMs = 86_400_000;

interface Team {
  id: string;
  ownerId: string;
}

/** Looks at a new team. @param prepare  what must have happened before; returns the address after the team, by default `billing` */
const newTeam =
  (prepare?: (demo: Demo, team: Team) => Promise<string | undefined>): Scene['prepare'] =>
  async (demo) => {
    const team = await createTeam(demo);
    const path = (await prepare?.(demo, team)) ?? 'billing';
    return { userId: team.ownerId, address: `/teams/${team.id}/${path}` };
  };
const says = (text: string | RegExp) => (page: Page) => page.getByText(text).first().waitFor();

/** The states of the page, each of a new team. */
export const stateScenes: Scene[] = [
  { name: 'state-empty', prepare: newTeam() },
  {
    name: 'state-usage-empty',
    prepare: newTeam(async () => 'usage?zone=UTC'),
    show: says('No credits were used in this range.'),
  },
  {
    name: 'state-usage-no-match',
    prepare: newTeam(async (demo, team) => {
      await use(demo, team, 20);
      return 'usage?range=30d&zone=UTC&model=gpt-5';
    }),
    show: says('Nothing in this range matches the filters.'),
  },
  {
    name: 'state-waiting',
    prepare: newTeam(async (demo, team) => `billing?checkout=${await checkOut(demo, team, 'pack_1000')}`),
    show: says('Waiting for Polar to confirm your payment…'),
  },
  {
    name: 'state-processing',
    prepare: newTeam(async (demo, team) => `billing?checkout=${await checkOut(demo, team, 'pack_1000')}`),
    async open(page, address) {
      await page.clock.install();
      await page.goto(address);
      await page.getByText('Waiting for Polar to confirm your payment…').waitFor();
      await loaded(page);
      await page.clock.fastForward(61_000);
    },
    show: says('Your payment is still being processed'),
  },
  {
    name: 'state-arrived',
    prepare: newTeam(async (demo, team) => `billing?checkout=${await buy(demo, team, 'pack_1000')}`),
    show: says('Your credits have arrived.'),
  },
  {
    name: 'state-past-due',
    prepare: newTeam(async (demo, team) => {
      await buy(demo, team, 'starter_monthly');
      const subscription = await demo.billing.GET('/v1/teams/{teamId}/subscription', paramsOf(team));
      await demo.press(`/subscriptions/${subscription?.id}/fail-next-payment`, anything);
      await demo.press(`/subscriptions/${subscription?.id}/renew-now`, anything);
      return undefined;
    }),
    show: says('A payment has been due since'),
    single: { name: 'state-past-due', width: 1_000, height: 620 },
  },
  {
    name: 'state-used-up',
    prepare: newTeam(async (demo, team) => {
      await use(demo, team, 500);
      return undefined;
    }),
    show: says('All credits are used up.'),
  },
  {
    name: 'state-used-up-member',
    async prepare(demo) {
      const team = await createTeam(demo);
      const userId = await addMember(demo, team, 'member', 'Kim Osei');
      await use(demo, team, 500);
      return { userId, address: `/teams/${team.id}/billing` };
    },
    show: says('All credits are used up.'),
  },
  {
    name: 'state-low',
    prepare: newTeam(async (demo, team) => {
      await use(demo, team, 460);
      return undefined;
    }),
    show: says('Only 40 credits are left.'),
  },
  {
    name: 'state-expiring',
    prepare: newTeam(async (demo, team) => {
      const expiresAt = new Date(Date.now() + 3 * dayMs).toISOString();
      await demo.billing.POST('/v1/teams/{teamId}/adjustments', {
        ...paramsOf(team),
        body: { credits: '300', reason: 'Sorry for the slow images this morning', expiresAt },
      });
      return undefined;
    }),
    show: says('300 credits expire on'),
  },
  {
    name: 'state-ends-on',
    prepare: newTeam(async (demo, team) => {
      await buy(demo, team, 'starter_monthly');
      await demo.billing.POST('/v1/teams/{teamId}/subscription/cancel', paramsOf(team));
      return undefined;
    }),
    show: says('The plan ends on'),
  },
  {
    name: 'state-scheduled-change',
    prepare: newTeam(async (demo, team) => {
      await buy(demo, team, 'pro_monthly');
      await demo.billing.POST('/v1/teams/{teamId}/subscription/change', {
        ...paramsOf(team),
        body: { plan: 'starter_monthly' },
      });
      return undefined;
    }),
    show: says('Undo scheduled change'),
  },
  {
    name: 'state-debt',
    prepare: newTeam(async (demo, team) => {
      await buy(demo, team, 'pack_1000');
      await use(demo, team, 1_300);
      const { data } = await demo.billing.GET('/v1/teams/{teamId}/invoices', paramsOf(team));
      await demo.press(`/orders/${data[0]?.id}/refund`, anything);
      return undefined;
    }),
    async show(page) {
      await page.getByRole('button', { name: 'Explain: Owed after a refund' }).click();
      await page
        .getByRole('dialog')
        .getByText(/paid on /)
        .waitFor();
    },
  },
  {
    name: 'state-loading',
    prepare: newTeam(),
    open: openWithout(/\/v1\/teams\/[^/]+\/(balance|usage|activity|limits|subscription|invoices)/),
  },
  {
    name: 'state-usage-loading',
    prepare: newTeam(async () => 'usage?zone=UTC'),
    open: openWithout(/\/v1\/teams\/[^/]+\/usage\?/),
    show: says('Download CSV'),
  },
  {
    name: 'state-failed',
    prepare: newTeam(),
    async open(page, address) {
      await page.route(/\/activity/, (route) => route.fulfill({ status: 503, body: 'unavailable' }));
      await page.goto(address);
      await page.getByRole('region', { name: 'Activity' }).getByRole('alert').waitFor();
    },
    aim: (page) => page.getByRole('region', { name: 'Member limits' }),
  },
  {
    name: 'state-offline',
    prepare: newTeam(),
    async show(page) {
      await page.context().setOffline(true);
      await page.getByRole('button', { name: 'Manage billing' }).click();
      await page.getByText('You are offline.').waitFor();
    },
    aim: (page) => page.getByRole('region', { name: 'Invoices' }),
  },
  {
    name: 'state-refused',
    async prepare(demo) {
      const team = await createTeam(demo);
      const userId = await addMember(demo, team, 'admin', 'Kim Osei');
      return { userId, address: `/teams/${team.id}/billing` };
    },
    async show(page) {
      await page.evaluate(giveUpRole);
      await page.getByRole('button', { name: 'Buy credits' }).click();
      await page.getByRole('button', { name: 'Buy 1,000 credits' }).click();
      await page.getByText('Your role may not do this. These may:').waitFor();
    },
  },
  {
    name: 'invitation',
    async prepare(demo) {
      const team = await createTeam(demo);
      const other = await createTeam(demo);
      await demo.billing.POST('/v1/teams/{teamId}/invitations', {
        ...paramsOf(other),
        body: { userId: team.ownerId, role: 'billing' },
      });
      return { userId: team.ownerId, address: `/teams/${team.id}/billing` };
    },
    show: says('Invitations'),
  },
  {
    name: 'signed-out',
    prepare: newTeam(),
    async open(page, address) {
      await page.context().clearCookies();
      await page.goto(address);
    },
    show: says('You are signed out'),
  },
  {
    name: 'not-found',
    prepare: newTeam(async () => 'invoices'),
    open: (page, address) => page.goto(address),
    show: says('This page does not exist'),
  },
  {
    name: 'guide',
    prepare: async (_demo, { ownerId }) => ({ userId: ownerId, address: '/guides/subscriptions' }),
  },
];

/** The admin makes themselves a member, without the page's knowledge. */
const giveUpRole = `(async () => {
  const members = location.pathname.replace(/^\\/teams(.*)\\/billing$/, '/v1/teams$1/members');
  const { data } = await (await fetch(members)).json();
  const { userId } = data.find(({ role }) => role === 'admin');
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(members + '/' + userId, { method: 'PUT', headers, body: '{"role":"member"}' });
  if (!answer.ok) throw new Error('the role was not changed: ' + (await answer.text()));
})()`;

/** Opens the address while some requests are never answered. */
function openWithout(requests: RegExp): NonNullable<Scene['open']> {
  return async (page, address) => {
    await page.route(requests, () => {});
    await page.goto(address);
    await page.locator('.skeleton').first().waitFor();
  };
}

async function createTeam({ billing }: Demo): Promise<Team> {
  const ownerId = await createUser(billing, 'Robin Ferrer');
  const { id } = await billing.POST('/v1/teams', { body: { name: 'Larkspur Labs', ownerId } });
  const team = { id, ownerId };
  const read = () => billing.GET('/v1/teams/{teamId}/balance', paramsOf(team));
  await waitUntil('the trial', read, ({ available }) => available !== '0', true);
  return team;
}

async function createUser(billing: Demo['billing'], name: string): Promise<string> {
  const id = `${name.split(' ')[0]?.toLowerCase()}_${crypto.randomUUID().slice(0, 8)}`;
  await billing.POST('/v1/users', { body: { id, name, email: `${id}@example.com` } });
  return id;
}

async function addMember({ billing }: Demo, team: Team, role: 'admin' | 'member', name: string) {
  const userId = await createUser(billing, name);
  const params = { path: { teamId: team.id, userId } };
  await billing.PUT('/v1/teams/{teamId}/members/{userId}', { params, body: { role } });
  return userId;
}

async function use({ billing }: Demo, team: Team, credits: number): Promise<void> {
  await billing.POST('/v1/teams/{teamId}/usage', {
    ...paramsOf(team),
    body: { action: 'workflow.run', quantities: { runs: 2 * credits } },
  });
}

/** @returns the id of the checkout */
async function checkOut({ billing }: Demo, team: Team, product: string): Promise<string> {
  return (await billing.POST('/v1/teams/{teamId}/checkout', { ...paramsOf(team), body: { product } })).id;
}

/** Pays, and waits for the credits. @returns the id of the checkout */
async function buy(demo: Demo, team: Team, product: string): Promise<string> {
  const checkoutId = await checkOut(demo, team, product);
  await demo.press(`/checkouts/${checkoutId}/pay`, anything);
  const params = { path: { teamId: team.id, checkoutId } };
  const read = () => demo.billing.GET('/v1/teams/{teamId}/checkouts/{checkoutId}', { params });
  await waitUntil('the credits', read, ({ status }) => status, 'granted');
  return checkoutId;
}

function paramsOf({ id }: Team) {
  return { params: { path: { teamId: id } } };
}
