import { expect } from '@jest/globals';
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';
import { signIn, type Visitor } from './browser.ts';
import { press } from './press.ts';
import type { RunningStack } from './running-stack.ts';

/** A new team, its owner, who is not signed in yet, and the running processes. */
export interface Scene {
  visitor: Visitor;
  stack: Pick<RunningStack, 'client' | 'emulatorUrl'>;
  team: string;
  teamId: string;
  person: string;
}

/** A state of the page that the story does not show, reached as users reach it. */
export interface PageState {
  name: string;
  visit?: BrowserContextOptions;
  /** Brings the page into the state, and waits for it. @throws Error if the state does not come */
  show(scene: Scene): Promise<unknown>;
}

export const pageStates: PageState[] = [
  {
    name: 'a team with nothing yet, on both pages',
    async show(scene) {
      const { page } = await enter(scene);
      await page.getByText('No invoices').waitFor();
      await expectNoFaults(scene);
      await openUsage(page);
      await page.getByText('No credits were used in this range. Choose a longer one.').waitFor();
    },
  },
  {
    name: 'nothing in this range, and nothing with these filters',
    async show(scene) {
      await use(scene, 10);
      const { page } = await enter(scene);
      await page.goto(`/teams/${scene.teamId}/usage?range=30d&zone=UTC&model=gpt-5`);
      await page.getByText('Nothing in this range matches the filters.').waitFor();
      await expectNoFaults(scene);
      await page.goto(`/teams/${scene.teamId}/usage?range=2026-01-01..2026-01-05&zone=UTC`);
      await page.getByText('No credits were used in this range.').waitFor();
    },
  },
  {
    name: 'low, then used up',
    async show(scene) {
      await use(scene, 450);
      const { page } = await enter(scene);
      await banner(page).getByText('Only 50 credits are left.').waitFor();
      await expectNoFaults(scene);
      await use(scene, 50);
      await page.reload();
      await banner(page).getByText('All credits are used up.').waitFor();
    },
  },
  {
    name: 'credits that expire within 7 days',
    async show(scene) {
      await adjust(scene, '300', new Date(Date.now() + 3 * 86_400_000));
      const { page } = await enter(scene);
      await banner(page).getByText('300 credits expire on').waitFor();
      await banner(page).getByRole('link', { name: 'Show what expires' }).click();
    },
  },
  {
    name: 'past due',
    async show(scene) {
      await buy(scene, 'starter_monthly');
      const { page } = await enter(scene);
      const { id } = await subscriptionOf(scene);
      await act(scene, `/subscriptions/${id}/fail-next-payment`);
      await act(scene, `/subscriptions/${id}/renew-now`);
      await banner(page).getByText('A payment has been due since').waitFor();
    },
  },
  {
    name: 'a change of plan scheduled for the next cycle, then undone',
    async show(scene) {
      await buy(scene, 'pro_monthly');
      const { page } = await enter(scene);
      await press(page, 'Change plan');
      await press(page, 'Choose Starter');
      await page.getByRole('dialog').getByText('To pay now, before tax').waitFor();
      await press(page, 'Change to Starter');
      await page.getByText('Starter, from').waitFor();
      await page.getByRole('button', { name: '+2,000 credits. Explain: Next credits' }).waitFor();
      await expectNoFaults(scene);
      await press(page, 'Undo scheduled change');
      await page.getByText('Starter, from').waitFor({ state: 'detached' });
      await page.getByRole('button', { name: '+6,000 credits. Explain: Next credits' }).waitFor();
    },
  },
  {
    name: 'a view of the Usage page that is sent to a colleague, in another range, with patterns',
    async show(scene) {
      await use(scene, 10);
      const { page } = await enter(scene);
      await openUsage(page);
      await page.getByLabel('Group by').selectOption({ label: 'Action' });
      await page.getByLabel('Range').selectOption({ label: 'Last 90 days' });
      const key = page.getByRole('button', { name: /^Workflow run 10 / });
      const look = await lookOf(key);
      await showsDayUnderPointer(page);
      await explainsBalance(page);
      await key.click();
      await press(page, 'Patterns');
      await page.getByRole('rowheader').first().getByRole('button').click();
      await page.getByRole('button', { name: /^\d.*Workflow run 10$/ }).waitFor();
      const shown = await whatIsShown(page);
      await expectNoFaults(scene);

      const colleague = await scene.visitor.context.newPage();
      await colleague.goto(page.url());
      await colleague.getByRole('button', { name: /^\d.*Workflow run 10$/ }).waitFor();
      expect(await whatIsShown(colleague)).toEqual(shown);
      expect(shown).toMatchObject({ range: '90d', groupBy: 'action', filters: 1, patterns: 'true' });
      await press(colleague, 'Patterns');
      await colleague.getByLabel('Range').selectOption({ label: 'Last 7 days' });
      await colleague.waitForURL('**range=7d**');
      expect(await lookOf(colleague.getByRole('button', { name: /^Workflow run 10 / }))).toBe(look);
    },
  },
  {
    name: 'credits owed after a refund, and what they are made of',
    async show(scene) {
      await buy(scene, 'pack_1000');
      await use(scene, 1_300);
      const { data } = await scene.stack.client.GET('/v1/teams/{teamId}/invoices', {
        params: { path: { teamId: scene.teamId } },
      });
      await act(scene, `/orders/${data[0]?.id}/refund`);
      const { page } = await enter(scene);
      await page.getByRole('button', { name: '800 credits. Explain: Owed after a refund' }).click();
      await page
        .getByRole('dialog')
        .getByText(/1,000 credits, paid on /)
        .waitFor();
    },
  },
  {
    name: 'while it loads, with and without motion',
    async show(scene) {
      const { page } = await enter(scene);
      await page.route(/\/v1\/teams\/[^/]+\/(balance|usage|activity|limits)/, () => {}); // never answered
      await page.reload();
      const box = page.locator('.skeleton').first();
      await box.waitFor();
      const motion = () => page.evaluate<string>(animation);
      if ((await motion()) !== 'none') throw new Error('nothing may move for a reader who wants less motion');
      await page.emulateMedia({ reducedMotion: 'no-preference' });
      if ((await motion()) !== 'skeleton') throw new Error('the boxes must show that the page loads');
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await expectNoFaults(scene);
      await page.goto(`/teams/${scene.teamId}/usage`);
      await page.locator('.skeleton').first().waitFor();
    },
  },
  {
    name: 'offline',
    async show(scene) {
      const { page } = await enter(scene);
      await scene.visitor.context.setOffline(true);
      await page.getByRole('button', { name: 'Manage billing' }).first().click();
      await page.getByText('You are offline. Check your connection, then try again.').first().waitFor();
    },
  },
  {
    name: 'refused, because the role has changed meanwhile',
    async show(scene) {
      const { client } = scene.stack;
      const path = { teamId: scene.teamId };
      const { page } = await enter(scene);
      const [owner] = (await client.GET('/v1/teams/{teamId}/members', { params: { path } })).data;
      const other = `second_${owner?.userId}`;
      await client.POST('/v1/users', {
        body: { id: other, name: 'Second Owner', email: `${other}@example.com` },
      });
      const place = (userId: string, role: 'owner' | 'member') =>
        client.PUT('/v1/teams/{teamId}/members/{userId}', {
          params: { path: { ...path, userId } },
          body: { role },
        });
      await place(other, 'owner');
      await place(owner?.userId ?? '', 'member');
      await page.getByRole('button', { name: 'Buy credits' }).first().click();
      await page.getByRole('button', { name: 'Buy 1,000 credits' }).click();
      await page.getByText('Your role may not do this. These may:').waitFor();
    },
  },
  {
    name: 'waiting for Polar, then still processing after a minute',
    async show(scene) {
      const { client } = scene.stack;
      const { id } = await client.POST('/v1/teams/{teamId}/checkout', {
        params: { path: { teamId: scene.teamId } },
        body: { product: 'pack_1000' },
      });
      const { page } = scene.visitor;
      await page.clock.install();
      await enter(scene);
      await page.goto(`/teams/${scene.teamId}/billing?checkout=${id}`);
      await page.getByText('Waiting for Polar to confirm your payment…').waitFor();
      await expectNoFaults(scene);
      await page.clock.fastForward(61_000);
      await page.getByText('Your payment is still being processed; credits arrive by themselves.').waitFor();
    },
  },
  {
    name: 'in German, on a phone',
    visit: { locale: 'de-DE', viewport: { width: 390, height: 844 } },
    async show(scene) {
      await use(scene, 10);
      const { page } = scene.visitor;
      await enterAs(scene, 'Abrechnung');
      await page.getByText('Guthaben').first().waitFor();
      await expectNoFaults(scene);
      await page.getByRole('link', { name: 'Nutzung', exact: true }).click();
      await page.getByRole('table', { name: 'Verbrauchte Credits nach Tagen' }).waitFor();
    },
  },
  {
    name: 'mirrored, for languages that are written from right to left',
    async show(scene) {
      await use(scene, 10);
      const { page } = await enter(scene);
      await page.evaluate(`document.documentElement.dir = 'rtl'`);
      await expectNoOverflow(page);
      await expectNoFaults(scene);
      await openUsage(page);
      await page.getByRole('table', { name: 'Credits used by day' }).waitFor();
      await expectNoOverflow(page);
    },
  },
  {
    name: 'no such page, signed out, and a guide',
    async show(scene) {
      const { page } = await enter(scene);
      await page.goto('/teams/01929d7e-8c1f-7a54-b2f6-3a1c9d0e4b52/billing');
      await page.getByRole('heading', { name: 'This page does not exist' }).waitFor();
      await expectNoFaults(scene);
      await page.goto('/guides/credit-system');
      await page.getByRole('heading', { name: 'Credit system' }).waitFor();
      await expectNoFaults(scene);
      await scene.visitor.context.clearCookies();
      await page.goto(`/teams/${scene.teamId}/billing`);
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
    },
  },
];

const animation = `getComputedStyle(document.querySelector('.skeleton')).animationName`;

async function enter(scene: Scene): Promise<{ page: Page }> {
  await enterAs(scene, 'Billing');
  await scene.visitor.page.getByRole('heading', { name: 'Activity' }).waitFor();
  return scene.visitor;
}

async function enterAs({ visitor, person, team }: Scene, heading: string): Promise<void> {
  await signIn(visitor, person, team, heading);
}

async function openUsage(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Usage', exact: true }).click();
  await page.getByRole('heading', { name: 'Usage', level: 1 }).waitFor();
}

/** The colour of a key of the legend, and its stripes. Each page has its own prefix for the ids of patterns. */
async function lookOf(key: Locator): Promise<string | undefined> {
  return (await key.locator('rect').getAttribute('style'))?.replace(/#[^-]+-/, '#');
}

/** The figures of the legend are those of the day under the pointer, and those of the range if it is elsewhere. */
async function showsDayUnderPointer(page: Page): Promise<void> {
  const chart = page.getByRole('slider', { name: /^Credits used by day/ });
  const box = await chart.boundingBox();
  if (!box) throw new Error('the chart must be shown');
  const key = (credits: string) =>
    page.getByRole('button', { name: new RegExp(`^Workflow run ${credits}\\b`) });
  await page.mouse.move(box.x + 20, box.y + box.height / 2);
  await key('0').waitFor();
  await page.mouse.move(box.x + box.width - 3, box.y + box.height / 2);
  await key('10').waitFor();
  expect(await page.getByText('Whole range').count()).toBe(1); // that of the other chart
  await page.mouse.move(0, 0);
  await page.getByText('Whole range').nth(1).waitFor();
}

/** The balance at the end of the range opens what changed it. */
async function explainsBalance(page: Page): Promise<void> {
  await page.getByRole('button', { name: '490 credits. Explain: Balance at the end' }).click();
  const dialog = page.getByRole('dialog', { name: 'Balance at the end' });
  await dialog.getByText('Before the range').waitFor();
  const parts = await dialog.locator('dl > div').allInnerTexts();
  expect(parts.map((part) => part.replace(/\s+/g, ' '))).toEqual([
    'Before the range 0',
    'Came in +500',
    'Used -10',
    'Expired 0',
    'Taken back 0',
    'Balance at the end 490',
  ]);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
}

/** What the reader of the Usage page has chosen. */
async function whatIsShown(page: Page) {
  return {
    range: await page.getByLabel('Range').inputValue(),
    groupBy: await page.getByLabel('Group by').inputValue(),
    zone: await page.getByLabel('Time zone').inputValue(),
    filters: await page.getByRole('list', { name: 'Filters' }).getByRole('listitem').count(),
    patterns: await page.getByRole('button', { name: 'Patterns' }).getAttribute('aria-pressed'),
    day: await page
      .getByRole('rowheader')
      .filter({ has: page.locator('[aria-expanded=true]') })
      .textContent(),
  };
}

const banner = (page: Page) => page.getByRole('region', { name: 'Important' });

async function expectNoFaults({ visitor }: Scene): Promise<void> {
  const faults = await visitor.accessibilityFaults();
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

async function expectNoOverflow(page: Page): Promise<void> {
  const widths = await page.evaluate<number[]>(
    '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
  );
  if (widths[0] !== widths[1]) throw new Error(`the page is scrolled sideways: ${widths}`);
}

async function use({ stack, teamId }: Scene, credits: number): Promise<void> {
  await untilTrial({ stack, teamId });
  await stack.client.POST('/v1/teams/{teamId}/usage', {
    params: { path: { teamId } },
    body: { action: 'workflow.run', quantities: { runs: 2 * credits } },
  });
}

async function adjust({ stack, teamId }: Scene, credits: string, expiresAt: Date): Promise<void> {
  await stack.client.POST('/v1/teams/{teamId}/adjustments', {
    params: { path: { teamId } },
    body: { credits, reason: 'an apology', expiresAt: expiresAt.toISOString() },
  });
}

/** Checks a plan or pack out, pays, and waits for the credits. */
async function buy(scene: Scene, product: string): Promise<void> {
  const { stack, teamId } = scene;
  const path = { teamId };
  const { id } = await stack.client.POST('/v1/teams/{teamId}/checkout', {
    params: { path },
    body: { product },
  });
  await act(scene, `/checkouts/${id}/pay`);
  await until(async () => {
    const params = { path: { ...path, checkoutId: id } };
    return (
      (await stack.client.GET('/v1/teams/{teamId}/checkouts/{checkoutId}', { params })).status === 'granted'
    );
  });
}

async function subscriptionOf({ stack, teamId }: Scene): Promise<{ id: string }> {
  const subscription = await stack.client.GET('/v1/teams/{teamId}/subscription', {
    params: { path: { teamId } },
  });
  if (!subscription) throw new Error('the team must have a plan');
  return subscription;
}

function untilTrial({ stack, teamId }: Pick<Scene, 'stack' | 'teamId'>): Promise<void> {
  return until(async () => {
    const params = { path: { teamId } };
    const { bySource } = await stack.client.GET('/v1/teams/{teamId}/balance', { params });
    return bySource.trial !== '0' || bySource.purchase !== '0';
  });
}

/** An action of a payer or a bank, on the emulator. */
async function act({ stack }: Scene, path: string): Promise<void> {
  const response = await fetch(`${stack.emulatorUrl}/emulator${path}`, { method: 'POST' });
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 200));
}
