import type { Locator, Page } from 'playwright-core';

/** More controls than any page has between two others. */
const mostTabs = 300;

/** Clicks the button with exactly this accessible name. */
export async function press(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name, exact: true }).click();
}

/** Moves the focus to a control by the Tab key, and presses it by Enter. @throws if Tab does not reach it */
export async function pressWithKeyboard(page: Page, control: Locator): Promise<void> {
  await control.waitFor();
  for (let tabs = 0; tabs < mostTabs; tabs++) {
    if ((await control.and(page.locator(':focus')).count()) > 0) {
      await page.keyboard.press('Enter');
      return;
    }
    await page.keyboard.press('Tab');
  }
  throw new Error(`the Tab key does not reach ${control}`);
}
