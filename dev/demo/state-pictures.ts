import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { z } from 'zod';
import { chromiumFlags, findChromium } from '../find-chromium.ts';
import { waitUntil } from './check.ts';
import type { Demo } from './connect.ts';
import { loaded, openContext } from './page-pictures.ts';
import { screen } from './screen.ts';

const size = { width: 1_000, height: 620 };
const anything = z.unknown();

interface Team {
  id: string;
  ownerId: string;
}

interface StatePicture {
  /** The file's name without `.png`. */
  name: string;
  /** What must have happened before. @returns the part of the address after the team, by default `billing` */
  prepare?(demo: Demo, team: Team): Promise<string | undefined>;
  /** Brings the loaded page into the state. */
  open?(page: Page): Promise<unknown>;
}

const pictures: StatePicture[] = [
  { name: 'state-empty' },
  {
    name: 'state-usage-empty',
    prepare: async () => 'usage',
    open: (page) => page.getByText('No credits were used in this range.').waitFor(),
  },
  {
    name: 'state-waiting',
    prepare: async (demo, team) => `billing?checkout=${await checkOut(demo, team, 'pack_1000')}`,
    open: (page) => page.getByText('Waiting for Polar to confirm your payment…').waitFor(),
  },
  {
    name: 'state-past-due',
    async prepare(demo, team) {
      await buy(demo, team, 'starter_monthly');
      const subscription = await demo.billing.GET('/v1/teams/{teamId}/subscription', paramsOf(team));
      await demo.press(`/subscriptions/${subscription?.id}/fail-next-payment`, anything);
      await demo.press(`/subscriptions/${subscription?.id}/renew-now`, anything);
      return undefined;
    },
    open: (page) => page.getByText('A payment has been due since').waitFor(),
  },
  {
    name: 'state-debt',
    async prepare(demo, team) {
      await buy(demo, team, 'pack_1000');
      await demo.billing.POST('/v1/teams/{teamId}/usage', {
        ...paramsOf(team),
        body: { action: 'workflow.run', quantities: { runs: 2_600 } },
      });
      const { data } = await demo.billing.GET('/v1/teams/{teamId}/invoices', paramsOf(team));
      await demo.press(`/orders/${data[0]?.id}/refund`, anything);
      return undefined;
    },
    async open(page) {
      await page.getByRole('button', { name: 'Explain: Owed after a refund' }).click();
      await page
        .getByRole('dialog')
        .getByText(/paid on /)
        .waitFor();
    },
  },
  {
    name: 'state-failed',
    async open(page) {
      await page.route(/\/activity/, (route) => route.fulfill({ status: 503, body: 'unavailable' }));
      await page.reload();
      const alert = page.getByRole('region', { name: 'Activity' }).getByRole('alert');
      await alert.waitFor();
      await alert.scrollIntoViewIfNeeded();
    },
  },
  {
    name: 'state-offline',
    async open(page) {
      await page.context().setOffline(true);
      await page.getByRole('button', { name: 'Manage billing' }).click();
      await page.getByText('You are offline.').scrollIntoViewIfNeeded();
    },
  },
];

/**
 * Takes the pictures of the page's states for docs/page.md, each of a new team.
 * @throws Error if there is no Chromium
 */
export async function takeStatePictures(demo: Demo, folder: string): Promise<void> {
  screen.step('Pictures of the page’s states');
  const browser = await chromium.launch({ executablePath: findChromium(), args: chromiumFlags });
  try {
    for (const { name, prepare, open } of pictures) {
      const team = await createTeam(demo);
      const address = await prepare?.(demo, team);
      const context = await openContext(browser, { baseURL: demo.publicUrl, viewport: size });
      const page = await context.newPage();
      await page.goto('/dev/sign-in');
      await page.locator(`button[name=userId][value=${team.ownerId}]`).first().click();
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.goto(`/teams/${team.id}/${address ?? 'billing'}`);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await loaded(page);
      await open?.(page);
      const path = join(folder, `${name}.png`);
      await page.screenshot({ path, animations: 'disabled' });
      await context.close();
      screen.ok(path);
    }
  } finally {
    await browser.close();
  }
}

async function createTeam({ billing }: Demo): Promise<Team> {
  const ownerId = `robin_${crypto.randomUUID().slice(0, 8)}`;
  await billing.POST('/v1/users', {
    body: { id: ownerId, name: 'Robin Ferrer', email: `${ownerId}@example.com` },
  });
  const { id } = await billing.POST('/v1/teams', { body: { name: 'Larkspur Labs', ownerId } });
  const team = { id, ownerId };
  const read = () => billing.GET('/v1/teams/{teamId}/balance', paramsOf(team));
  await waitUntil('the trial', read, ({ available }) => available !== '0', true);
  return team;
}

/** @returns the id of the checkout */
async function checkOut({ billing }: Demo, team: Team, product: string): Promise<string> {
  return (await billing.POST('/v1/teams/{teamId}/checkout', { ...paramsOf(team), body: { product } })).id;
}

async function buy(demo: Demo, team: Team, product: string): Promise<void> {
  const checkoutId = await checkOut(demo, team, product);
  await demo.press(`/checkouts/${checkoutId}/pay`, anything);
  const params = { path: { teamId: team.id, checkoutId } };
  const read = () => demo.billing.GET('/v1/teams/{teamId}/checkouts/{checkoutId}', { params });
  await waitUntil('the credits', read, ({ status }) => status, 'granted');
}

function paramsOf({ id }: Team) {
  return { params: { path: { teamId: id } } };
}
