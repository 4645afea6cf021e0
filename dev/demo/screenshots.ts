import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { teamWorkflowId } from '../../workflows/messages.ts';
import { chromiumFlags, findChromium } from '../find-chromium.ts';
import { CannotGoOn, type Demo } from './connect.ts';
import { screen } from './screen.ts';

/** Wide enough that the UI shows each row of the timeline and of the history in one line. */
const viewport = { width: 1_500, height: 1_900 };

/**
 * Takes pictures of the team's workflow in the Temporal UI: its timeline, its steps with their summaries, its details.
 * Only the parts that show the team, without ids of processes and names of machines.
 *
 * @throws CannotGoOn if there is no Chromium, or the Temporal UI is not ours
 */
export async function takeScreenshots(demo: Demo, teamId: string, folder: string): Promise<void> {
  screen.step('Pictures of the team in the Temporal UI');
  if (!demo.temporalUi) throw new CannotGoOn('Pictures need the Temporal server of npm start');
  const browser = await chromium.launch({ executablePath: findChromium(), args: chromiumFlags });
  try {
    const context = await browser.newContext({ viewport, timezoneId: 'UTC', locale: 'en-US' });
    const page = await context.newPage();
    const { namespace } = demo.temporal.options;
    await page.goto(
      `${demo.temporalUi}/namespaces/${namespace}/workflows/${encodeURIComponent(teamWorkflowId(teamId))}`,
    );
    const take = async (name: string, from: string, height: number) => {
      const path = join(folder, `${name}.png`);
      await page.screenshot({ path, clip: await areaBelow(page, from, height) });
      screen.ok(path);
    };
    await page.getByRole('button', { name: 'Descending' }).click();
    await page.getByText('clawBackOrder').last().waitFor();
    await take('team-timeline', 'Timeline', 1_300);
    await page.getByTestId('history-tab').click();
    await page.getByText('Compact').click();
    await page.getByText('grantTrialCredits').waitFor();
    await take('team-steps', 'Event History', 540);
    await page.getByTestId('user-metadata-tab').click();
    await page.frameLocator('#user-metadata-current-details').getByText('Last did').waitFor();
    await take('team-details', 'Current Details', 540);
  } finally {
    await browser.close();
  }
}

/** The part of the page from a heading on. */
async function areaBelow(page: Page, heading: string, height: number) {
  const found = await page.getByRole('heading', { name: heading, exact: true }).boundingBox();
  if (!found) throw new CannotGoOn(`The Temporal UI does not show the heading ${heading}`);
  const margin = 16;
  const x = found.x - margin;
  return { x, y: found.y - margin, width: viewport.width - x, height };
}
