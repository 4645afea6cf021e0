import { readFileSync } from 'node:fs';
import type { Locator, Page } from 'playwright-core';
import type { BillingClient } from '../../client/billing-client.ts';
import { pressWithKeyboard, tabTo, untilFocused } from './press.ts';

/**
 * The whole story of a new team with Tab, Shift+Tab, arrows, Enter, Space, Escape and typed figures alone. The focus shows at each
 * step, and is where it was after a dialog or after the pressed button is gone.
 * @returns the downloaded CSV file
 * @throws Error if a step cannot be taken with the keyboard
 */
export async function tellStoryByKeyboard(
  page: Page,
  client: BillingClient,
  { team, teamId, person, userId }: { team: string; teamId: string; person: string; userId: string },
): Promise<string> {
  const button = (name: string | RegExp, within: Locator | Page = page) =>
    within.getByRole('button', { name, exact: true });
  const region = (name: string) => page.getByRole('region', { name, exact: true });
  const dialog = (name: string) => page.getByRole('dialog', { name });
  const pressButton = (name: string | RegExp, within?: Locator) =>
    pressWithKeyboard(page, button(name, within));
  const available = (credits: string) =>
    button(new RegExp(`^${credits} credits\\. Explain: Available credits$`)).waitFor();

  await page.goto('/dev/sign-in');
  const seat = page.locator('section').filter({ has: page.getByRole('heading', { name: team }) });
  await pressWithKeyboard(page, seat.getByRole('button', { name: person }));
  await available('500');

  await pressButton('Buy credits');
  await page.keyboard.press('Escape');
  await untilFocused(page, button('Buy credits'));
  await page.keyboard.press('Space');
  await pressButton('Buy 1,000 credits');
  await pressButton('Pay $12.00');
  await available('1,500');

  await pressButton('Choose a plan');
  await pressButton('Choose Starter');
  await pressButton('Pay $19.00');
  await available('3,500');

  await pressButton('Change plan');
  await pressButton('Choose Pro');
  const preview = dialog('Change to Pro');
  await preview.getByText('6,000 credits').first().waitFor();
  await pressButton('Change to Pro', preview);
  await available('7,(?:500|49\\d(?:\\.\\d+)?)');
  await untilFocused(page, button('Change plan'));

  await pressButton('Cancel plan');
  await pressButton('Cancel plan', dialog('Cancel the plan?'));
  await untilFocused(page, button('Resume plan', region('Plan')));
  await page.keyboard.press('Enter');
  await region('Plan').getByText('Renews on').waitFor();
  await untilFocused(page, button('Change plan'));

  await client.POST('/v1/teams/{teamId}/usage', {
    params: { path: { teamId } },
    body: { action: 'model.flux-1.1-pro', quantities: { images: 5 }, memberId: userId },
  });
  await pressWithKeyboard(page, page.getByRole('link', { name: 'Usage', exact: true }));
  await button('24 credits. Explain: Used').waitFor();
  const chart = page.getByRole('slider', { name: /^Credits used by day/ });
  await tabTo(page, chart);
  const today = await chart.getAttribute('aria-valuenow');
  await page.keyboard.press('Home');
  await page.keyboard.press('End');
  for (const [key, value] of [
    ['ArrowLeft', Number(today) > 1 ? Number(today) - 1 : 1],
    ['ArrowRight', Number(today)],
  ] as const) {
    await page.keyboard.press(key);
    await chart.and(page.locator(`[aria-valuenow="${value}"]`)).waitFor();
  }
  await page.keyboard.press('Enter');
  const call = button(/FLUX 1\.1 Pro/, page.getByRole('table', { name: 'Credits used by day' })).first();
  await pressWithKeyboard(page, call);
  await dialog('Receipt').getByText('4.8').first().waitFor();
  await page.keyboard.press('Escape');
  await untilFocused(page, call);

  const csv = page.getByRole('link', { name: 'Download CSV' });
  for (let tabs = 0; (await csv.and(page.locator(':focus')).count()) === 0 && tabs < 100; tabs++)
    await page.keyboard.press('Shift+Tab');
  const [download] = await Promise.all([page.waitForEvent('download'), pressWithKeyboard(page, csv)]);

  await pressWithKeyboard(page, page.getByRole('link', { name: 'Billing', exact: true }));
  await tabTo(page, page.getByRole('textbox', { name: 'Alert 1' })); // Tab selects what the field contains
  await page.keyboard.type('300');
  await pressButton('Save', region('Alerts'));
  await region('Alerts')
    .getByRole('status')
    .filter({ hasText: /^Saved$/ })
    .waitFor();
  await untilFocused(page, button('Add alert'));
  await tabTo(page, page.getByRole('textbox', { name: `Limit of ${person} in credits` }));
  await page.keyboard.type('50');
  await pressButton(`Save the limit of ${person}`);
  await button('24 credits. Explain: Used of the limit').waitFor();
  await untilFocused(page, page.getByRole('combobox', { name: `Period of the limit of ${person}` }));
  return readFileSync(await download.path(), 'utf8');
}
