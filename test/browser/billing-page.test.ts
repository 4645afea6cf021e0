import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { parseDecimal } from '../../catalog/credits.ts';
import { BillingProblem } from '../../client/billing-error.ts';
import { launchBrowser, signIn, type Visitor, visit } from './browser.ts';
import { tellStoryByKeyboard } from './keyboard-story.ts';
import { pageStates } from './page-states.ts';
import { press } from './press.ts';
import { type RunningStack, startRunningStack } from './running-stack.ts';

/**
 * The story of a team through the page, and through the emulator's checkout and portal: the real processes, a real
 * browser. Each test goes on where the one before has ended.
 */
const team = 'Lovelace Labs';
let stack: RunningStack;
let browser: Browser;
let ada: Visitor;
let mia: Visitor;
let teamId: string;

beforeAll(async () => {
  browser = await launchBrowser();
  stack = await startRunningStack();
  for (const [id, name] of [
    ['ada', 'Ada Lovelace'],
    ['mia', 'Mia Miller'],
  ] as const)
    await stack.client.POST('/v1/users', { body: { id, name, email: `${id}@example.com` } });
  teamId = (await stack.client.POST('/v1/teams', { body: { name: team, ownerId: 'ada' } })).id;
  await stack.client.PUT('/v1/teams/{teamId}/members/{userId}', {
    params: { path: { teamId, userId: 'mia' } },
    body: { role: 'member' },
  });
  ada = await visit(browser, stack.url);
  mia = await visit(browser, stack.url);
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await stack?.stop();
}, 120_000);

/** No policy violation and no script error, whatever a test did. */
afterEach(() => {
  expect([...ada.faults, ...mia.faults]).toEqual([]);
});

const patienceMs = 300_000;
/** The large figure of the Balance card. */
const available = (page: Page, credits: RegExp | string) =>
  page.getByRole('button', {
    name: new RegExp(
      `^${credits instanceof RegExp ? credits.source : credits} credits\\. Explain: Available credits$`,
    ),
  });
const activityRequest = /\/v1\/teams\/[^/]+\/activity/;
const planCard = (page: Page) => page.getByRole('region', { name: 'Plan', exact: true });

test(
  'the owner signs in and sees the trial, without any shift of the layout',
  async () => {
    await signIn(ada, 'Ada Lovelace', team);
    await available(ada.page, '500').waitFor();
    await ada.page.getByRole('heading', { name: 'Activity' }).waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    expect(ada.shifts()).toEqual([]);
  },
  patienceMs,
);

test('the first load is at most 170 kB of gzipped script', async () => {
  const names = await ada.page.evaluate<string[]>(
    `performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname).filter((name) => name.endsWith('.js'))`,
  );
  expect(names.length).toBeGreaterThan(0);
  const dist = join(import.meta.dirname, '../../web/dist');
  const bytes = names.map((name) => statSync(join(dist, `${name}.gz`)).size);
  expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(170_000);
});

test(
  'the credits of a pack land without a reload after the payer returns from the checkout',
  async () => {
    const { page } = ada;
    await press(page, 'Buy credits');
    await page.getByRole('dialog', { name: 'Buy credits' }).waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    await press(page, 'Buy 1,000 credits');
    await press(page, 'Pay $12.00');
    await page.waitForURL('**/billing?checkout=*');
    await page.evaluate('globalThis.notReloaded = true');
    await available(page, '1,500').waitFor();
    await page.getByRole('status').getByText('Your credits have arrived.').waitFor();
    expect(await page.evaluate('globalThis.notReloaded')).toBe(true);
    expect(await ada.accessibilityFaults()).toEqual([]);
  },
  patienceMs,
);

test(
  'a declined card charges nothing and grants nothing',
  async () => {
    const { page } = ada;
    await press(page, 'Buy credits');
    await press(page, 'Buy 1,000 credits');
    await press(page, 'Use a card that is declined');
    await page.getByRole('alert').waitFor();
    await page.getByRole('link', { name: 'Back' }).click();
    await available(page, '1,500').waitFor();
  },
  patienceMs,
);

test(
  'the team subscribes, changes the plan after a preview, cancels and resumes',
  async () => {
    const { page } = ada;
    await press(page, 'Choose a plan');
    await press(page, 'Choose Starter');
    await press(page, 'Pay $19.00');
    await available(page, '3,500').waitFor();
    await planCard(page).getByText('Starter').waitFor();

    await press(page, 'Change plan');
    await page.getByRole('dialog', { name: 'Change plan' }).waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    await press(page, 'Choose Pro');
    const preview = page.getByRole('dialog', { name: 'Change to Pro' });
    await preview.getByText('6,000 credits').first().waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    await press(page, 'Change to Pro');
    // What the seconds since the start of the cycle cost is missing from the 4,000 credits more.
    await available(page, /7,(?:500|49\d(?:\.\d+)?)/).waitFor();
    await planCard(page).getByText('Pro').first().waitFor();

    await press(page, 'Cancel plan');
    const dialog = page.getByRole('dialog', { name: 'Cancel the plan?' });
    await dialog.waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    await dialog.getByRole('button', { name: 'Cancel plan' }).click();
    await planCard(page).getByText('Ends on').waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    await planCard(page).getByRole('button', { name: 'Resume plan' }).click();
    await planCard(page).getByText('Renews on').waitFor();
  },
  patienceMs,
);

test(
  'a cancellation in Polar’s portal shows on the page by itself',
  async () => {
    const { page } = ada;
    await page
      .getByRole('region', { name: 'Invoices' })
      .getByRole('button', { name: 'Manage billing' })
      .click();
    await press(page, 'Cancel at period end');
    await page.getByRole('button', { name: 'Keep the plan' }).waitFor();
    await page.getByRole('link', { name: 'Back' }).click();
    await planCard(page).getByText('Ends on').waitFor();
    await planCard(page).getByRole('button', { name: 'Resume plan' }).click();
    await planCard(page).getByText('Renews on').waitFor();
  },
  patienceMs,
);

test(
  'the owner sets an alert and a limit, and the limit refuses',
  async () => {
    const { page } = ada;
    await page.getByRole('textbox', { name: 'Alert 1' }).fill('300');
    await page.getByRole('region', { name: 'Alerts' }).getByRole('button', { name: 'Save' }).click();
    await page
      .getByRole('region', { name: 'Alerts' })
      .getByRole('button', { name: 'Save', disabled: true })
      .waitFor();
    const saved = (region: string) =>
      page
        .getByRole('region', { name: region })
        .getByRole('status')
        .filter({ hasText: /^Saved$/ });
    await saved('Alerts').waitFor();
    const path = { teamId };
    expect((await stack.client.GET('/v1/teams/{teamId}/alerts', { params: { path } })).lowBalance).toContain(
      '300',
    );

    await page.getByRole('button', { name: '0 credits. Explain: Used this month' }).first().waitFor();
    await page.getByRole('textbox', { name: 'Limit of Mia Miller in credits' }).fill('50');
    await press(page, 'Save the limit of Mia Miller');
    await page.getByRole('button', { name: '0 credits. Explain: Used of the limit' }).waitFor();
    await saved('Member limits').waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    await spend('mia', 10);
    await page.getByRole('button', { name: '48 credits. Explain: Used of the limit' }).waitFor();
    await expect(spend('mia', 1)).rejects.toThrow(BillingProblem);
  },
  patienceMs,
);

test(
  'what a service spends leaves the balance of an open page, and a figure explains itself',
  async () => {
    const { page } = ada;
    await spend('ada', 10);
    await available(page, /7,4(?:04|03)(?:\.\d+)?/).waitFor();
    await available(page, /7,4(?:04|03)(?:\.\d+)?/).click();
    const dialog = page.getByRole('dialog', { name: 'Available credits' });
    await dialog.getByText('Sum').waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
  },
  patienceMs,
);

test(
  'the chart of the Usage page follows what a service spends, down to one receipt',
  async () => {
    const { page } = ada;
    await page.getByRole('link', { name: 'Usage', exact: true }).click();
    const used = (credits: string) =>
      page.getByRole('button', { name: `${credits} credits. Explain: Used`, exact: true });
    await used('96').waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    await spend('ada', 5, 'run_42');
    await used('120').waitFor();
    const table = page.getByRole('table', { name: 'Credits used by day' });
    await table.getByRole('rowheader').first().getByRole('button').click();
    await table
      .getByRole('button', { name: /FLUX 1\.1 Pro Ada Lovelace/ })
      .first()
      .click();
    const receipt = page.getByRole('dialog', { name: 'Receipt' });
    await receipt.getByText('4.8').first().waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    await page.keyboard.press('Escape');
    await receipt.waitFor({ state: 'detached' });
  },
  patienceMs,
);

test(
  'the downloaded CSV has exactly what the ledger has spent',
  async () => {
    const { page } = ada;
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download CSV' }).click(),
    ]);
    const [header = '', ...rows] = readFileSync(await download.path(), 'utf8')
      .trim()
      .split(/\r?\n/);
    const column = header.split(',').indexOf('credits');
    const inFile = rows.reduce((sum, row) => sum + parseDecimal(row.split(',')[column] ?? ''), 0n);
    let inLedger = 0n;
    const path = { teamId };
    for await (const { kind, credits } of stack.client.list('/v1/teams/{teamId}/ledger', {
      params: { path },
    }))
      if (kind === 'spend') inLedger += parseDecimal(credits);
    expect({ rows: rows.length > 0, inFile }).toEqual({ rows: true, inFile: inLedger });
    await page.getByRole('link', { name: 'Billing', exact: true }).click();
  },
  patienceMs,
);

test(
  'the page of a run shows what it has used',
  async () => {
    const { page } = ada;
    await page.goto(`/teams/${teamId}/usage/runs/run_42`);
    const run = page.getByRole('region', { name: 'Run run_42' });
    await run
      .getByRole('button', { name: /^24 credits\. Explain: / })
      .first()
      .waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    await page.getByRole('link', { name: 'Billing', exact: true }).click();
  },
  patienceMs,
);

test(
  'a member sees the balance and whom to ask, and the API refuses what the page does not offer',
  async () => {
    const { page } = mia;
    await signIn(mia, 'Mia Miller', team);
    await available(page, /7,3(?:80|79)(?:\.\d+)?/).waitFor();
    await page.getByText('You cannot change the plan or buy credits. Ask Ada Lovelace.').waitFor();
    for (const name of ['Buy credits', 'Change plan', 'Cancel plan', 'Manage billing', 'Add alert'])
      expect(await page.getByRole('button', { name }).count()).toBe(0);
    const refused = await page.evaluate<{ status: number; code: string }>(
      `fetch('/v1/teams/${teamId}/checkout', {
         method: 'POST',
         headers: { 'content-type': 'application/json', 'idempotency-key': 'a-member-tries' },
         body: JSON.stringify({ product: 'pack_1000' }),
       }).then(async (answer) => ({ status: answer.status, code: (await answer.json()).code }))`,
    );
    expect(refused).toEqual({ status: 403, code: 'forbidden' });
    expect(await mia.accessibilityFaults()).toEqual([]);
    expect(mia.shifts()).toEqual([]);
  },
  patienceMs,
);

test(
  'an invited user finds the invitations where the e-mail leads, declines one, and joins a team by the other',
  async () => {
    const { page } = mia;
    for (const name of ['Turing Club', 'Babbage Works']) {
      const { id } = await stack.client.POST('/v1/teams', { body: { name, ownerId: 'ada' } });
      await stack.client.POST('/v1/teams/{teamId}/invitations', {
        params: { path: { teamId: id } },
        body: { userId: 'mia', role: 'admin' },
      });
    }
    await page.goto('/');
    const invitations = page.getByRole('region', { name: 'Invitations' });
    await invitations.getByText('Turing Club').waitFor();
    await page.getByRole('heading', { name: 'Activity' }).waitFor();
    expect(await mia.accessibilityFaults()).toEqual([]);
    expect(mia.shifts()).toEqual([]);

    await press(page, 'Decline the invitation to Babbage Works');
    await invitations.getByRole('status').getByText('The invitation to Babbage Works is declined.').waitFor();
    await press(page, 'Accept the invitation to Turing Club');
    const joined = 'You are now in the team Turing Club. Your role: Admin.';
    await invitations.getByRole('status').getByText(joined).waitFor();
    expect(await invitations.getByRole('listitem').count()).toBe(0);
    expect(await mia.accessibilityFaults()).toEqual([]);

    await page.getByRole('button', { name: /switch team/ }).click();
    await page.getByRole('menuitemradio', { name: 'Turing Club' }).click();
    await page.getByRole('button', { name: /^Turing Club/ }).waitFor();
    await page.getByRole('heading', { name: 'Activity' }).waitFor();
    expect(await invitations.count()).toBe(0);
  },
  patienceMs,
);

test(
  'the whole story is told with the keyboard alone, and the file of it has what was used',
  async () => {
    const kay = await newTeam('Kay Keys');
    const csv = await tellStoryByKeyboard(kay.visitor.page, stack.client, kay);
    expect(csv).toMatch(/^day,model,credits,events\r?\n[\d-]+,flux-1\.1-pro,24,1\r?\n$/);
    expect(kay.visitor.faults).toEqual([]);
    await kay.visitor.context.close();
  },
  patienceMs,
);

test.each(pageStates)(
  'nothing is wrong for axe and the Content Security Policy: $name',
  async ({ visit: options, show }) => {
    const owner = await newTeam('Sam States', options);
    await show({ ...owner, stack });
    expect(await owner.visitor.accessibilityFaults()).toEqual([]);
    expect(owner.visitor.faults).toEqual([]);
    await owner.visitor.context.close();
  },
  patienceMs,
);

test(
  'a card whose request gets no answer says so and is tried again, while the others stay',
  async () => {
    const { page } = ada;
    await page.route(activityRequest, (route) =>
      route.fulfill({ status: 503, contentType: 'text/html', body: '<h1>Service unavailable</h1>' }),
    );
    await page.reload();
    const activity = page.getByRole('region', { name: 'Activity' });
    await activity.getByRole('alert').getByText('The billing service did not answer.').waitFor();
    await page.getByRole('textbox', { name: 'Alert 1' }).waitFor();
    expect(await ada.accessibilityFaults()).toEqual([]);
    await page.unroute(activityRequest);
    await activity.getByRole('button', { name: 'Try again' }).click();
    await activity.getByRole('listitem').first().waitFor();
  },
  patienceMs,
);

test(
  'an answer that the page cannot show is a fault of its card alone, and says to reload',
  async () => {
    const { page } = ada;
    await page.route(activityRequest, (route) =>
      route.fulfill({ json: { data: [{ kind: 'used', at: 'never', credits: '1' }], nextCursor: null } }),
    );
    await page.reload();
    const activity = page.getByRole('region', { name: 'Activity' });
    await activity.getByRole('alert').getByText('This page has an error. Reload it.').waitFor();
    await page.getByRole('textbox', { name: 'Alert 1' }).waitFor();
    await planCard(page).getByText('Renews on').waitFor();
    await page.unroute(activityRequest);
    await activity.getByRole('button', { name: 'Reload' }).click();
    await activity.getByRole('listitem').first().waitFor();
  },
  patienceMs,
);

test(
  'after all of it the rules of the ledger hold',
  async () => {
    await stack.verifyLedger();
  },
  patienceMs,
);

let owners = 0;

/** A user who owns a new team, with a browser in which nobody is signed in. */
async function newTeam(person: string, options: BrowserContextOptions = {}) {
  owners += 1;
  const userId = `owner_${owners}`;
  const body = { id: userId, name: person, email: `${userId}@example.com` };
  await stack.client.POST('/v1/users', { body });
  const name = `Team ${owners}`;
  const { id } = await stack.client.POST('/v1/teams', { body: { name, ownerId: userId } });
  return { visitor: await visit(browser, stack.url, options), team: name, teamId: id, person, userId };
}

/** Creates images for a member: 4.8 credits each. */
async function spend(memberId: string, images: number, runId?: string): Promise<void> {
  await stack.client.POST('/v1/teams/{teamId}/usage', {
    params: { path: { teamId } },
    body: {
      action: 'model.flux-1.1-pro',
      quantities: { images },
      memberId,
      ...(runId === undefined ? {} : { runId }),
    },
  });
}
