import type { Page } from 'playwright-core';
import type { Demo } from '../connect.ts';
import type { SeededTeam } from '../seed.ts';
import { loaded, type Scene } from './scene.ts';

const desktop = { width: 1_180, height: 860 };
const looking = (who: 'ownerId' | 'memberId', path: string) => async (_demo: Demo, seeded: SeededTeam) => ({
  userId: seeded[who],
  address: `/teams/${seeded.teamId}/${path}`,
});
const region = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).first().click();

/** The pages and dialogs of the seeded team. */
export const pageScenes: Scene[] = [
  { name: 'sign-in', prepare: async () => ({ userId: null, address: '/dev/sign-in' }) },
  { name: 'billing', prepare: looking('ownerId', 'billing'), single: { name: 'billing', ...desktop } },
  {
    name: 'billing-alerts-limits',
    prepare: looking('ownerId', 'billing'),
    aim: (page) => region(page, 'Alerts'),
  },
  {
    name: 'billing-invoices-activity',
    prepare: looking('ownerId', 'billing'),
    aim: (page) => region(page, 'Invoices'),
  },
  {
    name: 'billing-member',
    prepare: looking('memberId', 'billing'),
    single: { name: 'billing-member', ...desktop },
  },
  { name: 'billing-german', prepare: looking('ownerId', 'billing'), locale: 'de-DE' },
  {
    name: 'buy-credits',
    prepare: looking('ownerId', 'billing'),
    async show(page) {
      await press(page, 'Buy credits');
      await page.getByRole('button', { name: 'Buy 1,000 credits' }).waitFor();
    },
    single: { name: 'buy-credits', ...desktop },
  },
  {
    name: 'choose-plan',
    prepare: looking('ownerId', 'billing'),
    async show(page) {
      await press(page, 'Change plan');
      await page.getByRole('button', { name: 'Choose Pro, yearly' }).waitFor();
    },
  },
  {
    name: 'change-plan',
    prepare: looking('ownerId', 'billing'),
    async show(page) {
      await press(page, 'Change plan');
      await press(page, 'Choose Pro, yearly');
      const preview = page.getByRole('dialog', { name: 'Change to Pro, yearly' });
      await preview.getByRole('button', { name: 'Change to Pro, yearly', disabled: false }).waitFor();
    },
    single: { name: 'change-plan', ...desktop },
  },
  {
    name: 'cancel-plan',
    prepare: looking('ownerId', 'billing'),
    async show(page) {
      await press(page, 'Cancel plan');
      await page.getByRole('dialog').getByRole('button', { name: 'Keep plan' }).waitFor();
    },
  },
  {
    name: 'explain-balance',
    prepare: looking('ownerId', 'billing'),
    async show(page) {
      await page.getByRole('button', { name: 'Explain: Available credits' }).click();
      await page.getByRole('dialog').getByText('Sum').waitFor();
    },
    single: { name: 'explain-balance', ...desktop },
  },
  {
    name: 'team-switcher',
    prepare: looking('ownerId', 'billing'),
    async show(page) {
      await page.getByRole('button', { name: /switch team/ }).click();
      await page.getByRole('menuitemradio').first().waitFor();
    },
  },
  {
    name: 'usage',
    prepare: looking('ownerId', 'usage?range=90d&zone=UTC'),
    single: { name: 'usage', ...desktop },
  },
  {
    name: 'usage-patterns',
    prepare: looking('ownerId', 'usage?range=30d&by=member&zone=UTC&patterns=1'),
    async show(page) {
      await page.getByRole('slider').first().focus();
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('ArrowLeft');
    },
  },
  {
    name: 'usage-calls',
    prepare: looking('ownerId', 'usage?zone=UTC'),
    show: openYesterday,
    aim: (page) => page.getByRole('table', { name: 'Credits used by day' }),
  },
  {
    name: 'usage-receipt',
    prepare: looking('ownerId', 'usage?zone=UTC'),
    async show(page) {
      await openYesterday(page);
      await openCall(page);
    },
    single: { name: 'usage-receipt', width: 1_000, height: 700 },
  },
  {
    name: 'balance-over-time',
    prepare: looking('ownerId', 'usage?range=90d&zone=UTC'),
    aim: (page) => region(page, 'Balance over time'),
  },
  {
    name: 'balance-day',
    prepare: looking('ownerId', 'usage?range=90d&zone=UTC'),
    async show(page) {
      await page.getByRole('slider', { name: /^Balance by day/ }).focus();
      const renewed = page
        .getByRole('slider', { name: /^Balance by day/ })
        .and(page.locator('[aria-valuetext*="Expired"]'));
      for (let days = 0; days < 90 && (await renewed.count()) === 0; days++)
        await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').getByText('At the end of the day').waitFor();
    },
  },
  {
    name: 'run',
    prepare: looking('ownerId', 'usage?zone=UTC'),
    async show(page) {
      await openYesterday(page);
      await openCall(page);
      await page.getByRole('dialog').getByRole('link', { name: /run_/ }).click();
      await page.getByRole('heading', { name: /^Run run_/ }).waitFor();
      await loaded(page);
    },
  },
];

async function openYesterday(page: Page): Promise<void> {
  const days = page.getByRole('table', { name: 'Credits used by day' }).getByRole('rowheader');
  await days.nth(1).getByRole('button').click();
  await page.getByRole('button', { name: /run_/ }).first().waitFor();
}

async function openCall(page: Page): Promise<void> {
  await page
    .getByRole('button', { name: /Claude Sonnet 4\.5 .*run_/ })
    .first()
    .click();
  await page.getByRole('dialog').getByText('Paid by').waitFor();
}
