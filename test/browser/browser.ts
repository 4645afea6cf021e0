import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { chromiumFlags, findChromium } from '../../dev/find-chromium.ts';

/** A condition may take this long on a busy machine; a failed test takes no longer. */
const patienceMs = 60_000;
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Without the invisible announcements of React Aria, which it removes after some seconds. */
const runAxe = `axe.run({ exclude: [['[data-live-announcer]']] }, { resultTypes: ['violations'] })`;

/** Runs in each page before its own scripts. */
const watchForFaults = `
  document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) =>
    reportFault('CSP: ' + violatedDirective + ' ' + blockedURI + ' ' + sample));
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      if (hadRecentInput || value < 0.001) continue;
      const moved = sources.map(({ node }) => node?.textContent?.slice(0, 60)).join(' | ');
      reportShift(value.toFixed(4) + ' at ' + location.pathname + ': ' + moved);
    }
  }).observe({ type: 'layout-shift', buffered: true });
`;

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: findChromium(), args: chromiumFlags, chromiumSandbox: false });
}

/** One person's browser, with what must never happen on a page. */
export interface Visitor {
  page: Page;
  context: BrowserContext;
  /** Violations of the Content Security Policy and errors of scripts, so far. */
  faults: string[];
  /** What has moved in the current document without an input. */
  shifts(): string[];
  /** Violations that axe finds in this state of the page, in the light and in the dark appearance. */
  accessibilityFaults(): Promise<string[]>;
}

/** A new browser context for one person. */
export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visitor> {
  const context = await browser.newContext({
    baseURL: url,
    locale: 'en-US',
    timezoneId: 'UTC',
    viewport: { width: 1280, height: 900 },
    reducedMotion: 'reduce',
    ...options,
  });
  context.setDefaultTimeout(patienceMs);
  const faults: string[] = [];
  let shifts: string[] = [];
  await context.exposeBinding('reportFault', (_source, fault: string) => void faults.push(fault));
  await context.exposeBinding('reportShift', (_source, shift: string) => void shifts.push(shift));
  await context.addInitScript(watchForFaults);
  const page = await context.newPage();
  page.on('domcontentloaded', () => {
    shifts = [];
  });
  page.on('pageerror', (error) => faults.push(`script error: ${error.message}`));
  return {
    page,
    context,
    faults,
    shifts: () => shifts,
    async accessibilityFaults() {
      const found: string[] = [];
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        await page.evaluate(axeSource);
        const results = (await page.evaluate(runAxe)) as AxeResults;
        for (const { id, help, nodes } of results.violations)
          found.push(
            `${colorScheme}: ${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' ; ')}`,
          );
      }
      await page.emulateMedia({ colorScheme: null });
      return found;
    },
  };
}

/** Signs in on the development page, as a member of a team. @param heading  of the Billing page, in the visitor's language */
export async function signIn(
  { page }: Visitor,
  person: string,
  team: string,
  heading = 'Billing',
): Promise<void> {
  await page.goto('/dev/sign-in');
  await page
    .locator('section')
    .filter({ has: page.getByRole('heading', { name: team }) })
    .getByRole('button', { name: person })
    .first()
    .click();
  await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
}
