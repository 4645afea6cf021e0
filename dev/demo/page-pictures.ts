import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { chromiumFlags, findChromium } from '../find-chromium.ts';
import type { Demo } from './connect.ts';
import { screen } from './screen.ts';

const desktop = { width: 1_180, height: 860 };
const phone = { width: 390, height: 844 };

interface Picture {
  /** The file's name without `.png`. */
  name: string;
  /** Who looks at it. */
  person: string;
  section: 'Billing' | 'Usage';
  size?: typeof desktop;
  dark?: boolean;
  locale?: 'en-US' | 'de-DE';
  /** Opens a dialog or another state, and waits for it. */
  open?(page: Page): Promise<unknown>;
}

const pictures: Picture[] = [
  { name: 'billing', person: 'Olivia Brandt', section: 'Billing' },
  { name: 'billing-dark', person: 'Olivia Brandt', section: 'Billing', dark: true },
  { name: 'billing-phone', person: 'Olivia Brandt', section: 'Billing', size: phone },
  { name: 'billing-german', person: 'Olivia Brandt', section: 'Billing', locale: 'de-DE' },
  { name: 'billing-member', person: 'Chen Wei', section: 'Billing' },
  {
    name: 'buy-credits',
    person: 'Olivia Brandt',
    section: 'Billing',
    open: async (page) => {
      await page.getByRole('button', { name: 'Buy credits' }).click();
      await page.getByRole('button', { name: 'Buy 1,000 credits' }).waitFor();
    },
  },
  {
    name: 'change-plan',
    person: 'Olivia Brandt',
    section: 'Billing',
    open: async (page) => {
      await page.getByRole('button', { name: 'Change plan' }).click();
      await page.getByRole('button', { name: 'Choose Pro, yearly' }).click();
      const preview = page.getByRole('dialog', { name: 'Change to Pro, yearly' });
      await preview.getByRole('button', { name: 'Change to Pro, yearly' }).waitFor();
    },
  },
  {
    name: 'explain-balance',
    person: 'Olivia Brandt',
    section: 'Billing',
    open: async (page) => {
      await page.getByRole('button', { name: 'Explain: Available credits' }).click();
      await page.getByRole('dialog').getByText('Sum').waitFor();
    },
  },
  { name: 'usage', person: 'Olivia Brandt', section: 'Usage', open: last90Days },
  { name: 'usage-dark', person: 'Olivia Brandt', section: 'Usage', dark: true, open: last90Days },
  { name: 'usage-phone', person: 'Olivia Brandt', section: 'Usage', size: phone },
  {
    name: 'usage-receipt',
    person: 'Olivia Brandt',
    section: 'Usage',
    size: { width: 1_000, height: 700 },
    open: async (page) => {
      const days = page.getByRole('table', { name: 'Credits used by day' }).getByRole('rowheader');
      await days.nth(1).getByRole('button').click();
      await page
        .getByRole('button', { name: /Claude Sonnet 4\.5 .*run_/ })
        .first()
        .click();
      await page.getByRole('dialog').getByText('Paid by').waitFor();
    },
  },
  { name: 'run', person: 'Olivia Brandt', section: 'Usage', open: oneRun },
  { name: 'run-dark', person: 'Olivia Brandt', section: 'Usage', dark: true, open: oneRun },
  { name: 'run-phone', person: 'Olivia Brandt', section: 'Usage', size: phone, open: oneRun },
];

/**
 * Takes the pictures of the seeded team's pages for README.md, docs/page.md and docs/guides/: light, dark and on a phone.
 * @throws Error if there is no Chromium
 */
export async function takePagePictures({ publicUrl }: Demo, folder: string): Promise<void> {
  screen.step('Pictures of the page');
  const browser = await chromium.launch({ executablePath: findChromium(), args: chromiumFlags });
  try {
    for (const picture of pictures) screen.ok(await take(browser, publicUrl, folder, picture));
  } finally {
    await browser.close();
  }
}

async function take(
  browser: Browser,
  baseURL: string,
  folder: string,
  { name, person, section, size = desktop, dark = false, locale = 'en-US', open }: Picture,
): Promise<string> {
  const context = await openContext(browser, {
    baseURL,
    viewport: size,
    colorScheme: dark ? 'dark' : 'light',
    locale,
  });
  try {
    const page = await context.newPage();
    await page.goto('/dev/sign-in');
    const team = page
      .locator('section')
      .filter({ has: page.getByRole('heading', { name: 'Northwind Studio' }) });
    await team.getByRole('button', { name: person }).first().click();
    await page.getByRole('heading', { name: locale === 'de-DE' ? 'Verlauf' : 'Activity' }).waitFor();
    if (section === 'Usage') {
      await page.getByRole('link', { name: 'Usage', exact: true }).click();
      await page.getByRole('table', { name: 'Credits used by day' }).waitFor();
    }
    await loaded(page);
    await open?.(page);
    const path = join(folder, `${name}.png`);
    await page.screenshot({ path, animations: 'disabled' });
    return path;
  } finally {
    await context.close();
  }
}

/** The browser window of a picture: in English unless `options` has another locale, in UTC, without motion. */
export async function openContext(browser: Browser, options: BrowserContextOptions) {
  const context = await browser.newContext({
    locale: 'en-US',
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
    ...options,
  });
  context.setDefaultTimeout(120_000);
  return context;
}

async function last90Days(page: Page): Promise<void> {
  await page.getByLabel('Range').selectOption({ label: 'Last 90 days' });
  await page.waitForURL('**range=90d**');
  await loaded(page);
}

async function oneRun(page: Page): Promise<void> {
  const days = page.getByRole('table', { name: 'Credits used by day' }).getByRole('rowheader');
  await days.nth(1).getByRole('button').click();
  await page
    .getByRole('button', { name: /Claude Sonnet 4\.5 .*run_/ })
    .first()
    .click();
  await page.getByRole('dialog').getByRole('link', { name: /run_/ }).click();
  await page.getByRole('heading', { name: /^Run run_/ }).waitFor();
  await loaded(page);
}

/** No card is loading any more. */
export async function loaded(page: Page): Promise<void> {
  await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' });
}
