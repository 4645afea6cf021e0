import type { Locator, Page } from 'playwright-core';

/** More controls than any page has between two others. */
const mostTabs = 300;

/** Clicks the button with exactly this accessible name. */
export async function press(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name, exact: true }).click();
}

/** Moves the focus to a control by the Tab key, and presses it by Enter. @throws as `tabTo` */
export async function pressWithKeyboard(page: Page, control: Locator): Promise<void> {
  await tabTo(page, control);
  await page.keyboard.press('Enter');
}

/** Moves the focus to a control by the Tab key. @throws Error if Tab does not reach it, or the focus does not show there */
export async function tabTo(page: Page, control: Locator): Promise<void> {
  await control.waitFor();
  for (let tabs = 0; !(await hasFocus(page, control)); tabs++) {
    if (tabs === mostTabs) throw new Error(`the Tab key does not reach ${control}`);
    await page.keyboard.press('Tab');
  }
  if (!(await page.evaluate<boolean>(focusShows))) throw new Error(`the focus does not show on ${control}`);
}

/** Waits until a control has the focus. @throws Error if the focus is elsewhere, and where */
export async function untilFocused(page: Page, control: Locator): Promise<void> {
  await control
    .and(page.locator(':focus'))
    .waitFor()
    .catch(async () => {
      const where = await page.evaluate<string>('document.activeElement?.outerHTML.slice(0, 200)');
      throw new Error(`${control} must have the focus, not ${where}`);
    });
}

async function hasFocus(page: Page, control: Locator): Promise<boolean> {
  return (await control.and(page.locator(':focus')).count()) > 0;
}

const focusShows = `(() => {
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return outlineStyle !== 'none' && parseFloat(outlineWidth) > 0;
})()`;
