import { type Browser, chromium, type Page } from 'playwright-core';
import { createBillingClient } from '../../client/billing-client.ts';
import { chromiumFlags, findChromium } from '../../dev/find-chromium.ts';
import { buildPage } from '../../web/build/build-page.ts';
import { alternate } from '../interleave.ts';
import type { Measure } from '../measure.ts';
import { seedYear } from '../seed.ts';

const owner = 'bench_owner';
const usageQuery = 'range=12m&zone=UTC&by=action';

/** Runs in each document before its own scripts. Times are milliseconds since the navigation began. */
const watchPaints = `
  globalThis.largestPaint = 0;
  new PerformanceObserver((list) => {
    for (const { startTime } of list.getEntries()) globalThis.largestPaint = startTime;
  }).observe({ type: 'largest-contentful-paint', buffered: true });
`;

/** Resolves with the time of the frame in which the selector matches for the first time. */
const shownAt = (selector: string) => `new Promise((resolve) => {
  const look = () =>
    document.querySelector(${JSON.stringify(selector)}) ? requestAnimationFrame(() => resolve(performance.now())) : setTimeout(look, 1);
  look();
})`;

/** When the answer of the year's report had arrived. */
const reportArrived = `performance.getEntriesByType('resource').find(({ name }) => name.includes('/usage?')).responseEnd`;

/** The page in Chromium: the first load of Billing with an empty cache, and a year of a busy team drawn on Usage. */
export const pageMeasure: Measure = {
  name: 'page',
  async run(stack) {
    const times = stack.quick ? 1 : 10;
    const events = stack.quick ? 20_000 : 1_000_000;
    await stack.progress.step('the page', () => buildPage());
    const databaseUrl = await stack.createDatabase();
    const teamId = await stack.progress.step(
      `a team with ${events.toLocaleString('en')} usage events in a year`,
      () => seedYear(databaseUrl, { events }),
    );
    const api = await stack.startApi(databaseUrl);
    const browser = await chromium.launch({
      executablePath: findChromium(),
      args: chromiumFlags,
    });
    try {
      await makeOwner(api, teamId);
      const token = await stack.personToken(owner);
      const visit = <T>(look: (page: Page) => Promise<T>) =>
        withVisitor(browser, { url: api.url, token }, look);

      const billing = () =>
        visit(async (page) => {
          await page.goto(`${api.url}/teams/${teamId}/billing`);
          const usable = await page.evaluate<number>(shownAt('main button[aria-label*="Available credits"]'));
          return Math.max(usable, await page.evaluate<number>('largestPaint'));
        });
      const bareAnswer = () =>
        visit(async (page) => {
          await page.goto(`${api.url}/v1/catalog`);
          const usable = await page.evaluate<number>(shownAt('pre'));
          return Math.max(usable, await page.evaluate<number>('largestPaint'));
        });
      const draw = () =>
        visit(async (page) => {
          await page.goto(`${api.url}/teams/${teamId}/usage?${usageQuery}`);
          const drawn = await page.evaluate<number>(shownAt('[role=slider] svg path'));
          return drawn - (await page.evaluate<number>(reportArrived));
        });
      const drawBare = () => visit((page) => page.evaluate<number>(drawPaths));

      await draw(); // the first report of a time zone counts its days
      const load = await stack.progress.step('first load of the page', () =>
        alternate(times, { ours: billing, baseline: bareAnswer }),
      );
      const drawing = await stack.progress.step('a year is drawn', () =>
        alternate(times, { ours: draw, baseline: drawBare }),
      );
      return [
        {
          name: 'page-load',
          compares:
            'the first load of Billing with an empty cache, until its cards are there and the largest paint is done; the JSON of the catalog from the same server',
          unit: 'ms',
          ...load,
          goal: { atMostMs: 1_000 },
        },
        {
          name: 'page-draw',
          compares: `from the answer of a report of ${events.toLocaleString('en')} events of a year by day and action to the chart and its table; 14 paths of 365 bars in an empty document`,
          unit: 'ms',
          ...drawing,
          goal: { atMostMs: 300 },
        },
      ];
    } finally {
      await browser.close();
      await api.program.stop();
    }
  },
};

/** Signs in and opens an empty page, with an empty cache. */
async function withVisitor<T>(
  browser: Browser,
  { url, token }: { url: string; token: string },
  look: (page: Page) => Promise<T>,
): Promise<T> {
  const context = await browser.newContext({
    locale: 'en-US',
    timezoneId: 'UTC',
    viewport: { width: 1280, height: 900 },
  });
  try {
    await context.addInitScript(watchPaints);
    const page = await context.newPage();
    const headers = { authorization: `Bearer ${token}` };
    const answer = await context.request.post(`${url}/session`, { headers });
    if (answer.status() !== 201) throw new Error(`POST /session was answered ${answer.status()}`);
    return await look(page);
  } finally {
    await context.close();
  }
}

async function makeOwner(api: { url: string; serviceKey: string }, teamId: string): Promise<void> {
  const { serviceKey } = api;
  const billing = createBillingClient({ baseUrl: api.url, credentials: { serviceKey } });
  await billing.POST('/v1/users', { body: { id: owner, name: 'Bench Owner', email: 'owner@example.com' } });
  await billing.PUT('/v1/teams/{teamId}/members/{userId}', {
    params: { path: { teamId, userId: owner } },
    body: { role: 'owner' },
  });
}

/** The least that draws as many bars: paths without a page around them. */
const drawPaths = `new Promise((resolve) => {
  const started = performance.now();
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  for (let series = 0; series < 14; series += 1) {
    const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    path.setAttribute('d', Array.from({ length: 365 }, (_, day) => 'M' + day * 3 + ' ' + series * 10 + 'h2v8h-2Z').join(''));
    svg.append(path);
  }
  document.body.append(svg);
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - started)));
})`;
