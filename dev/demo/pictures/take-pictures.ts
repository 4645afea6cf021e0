import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { chromiumFlags, findChromium } from '../../find-chromium.ts';
import type { Demo } from '../connect.ts';
import { screen } from '../screen.ts';
import type { SeededTeam } from '../seed.ts';
import { pageScenes } from './page-scenes.ts';
import { loaded, type Scene } from './scene.ts';
import { stateScenes } from './state-scenes.ts';

const desktop = { width: 1_040, height: 720 };
const phone = { width: 390, height: 720 };
const gapPx = 16;
/** From 0 to 1. At this quality text is still sharp, and a picture has about 70 kB. */
const webpQuality = 0.65;

/**
 * Takes the pictures of the page. Each scene becomes one picture for docs/page.md, `page/{name}.webp`: light above dark, a desktop
 * beside a phone. Some also become a PNG for README.md or a guide.
 * @throws Error if there is no Chromium, or a scene does not come
 */
export async function takePictures(demo: Demo, seeded: SeededTeam, folder: string): Promise<void> {
  screen.step('Pictures of the page');
  const browser = await chromium.launch({ executablePath: findChromium(), args: chromiumFlags });
  try {
    const scenes = [...pageScenes, ...stateScenes];
    for (const [index, scene] of scenes.entries()) {
      await takeScene(browser, demo, seeded, folder, scene);
      screen.ok(`${index + 1} of ${scenes.length}  ${scene.name}`);
    }
  } finally {
    await browser.close();
  }
}

async function takeScene(
  browser: Browser,
  demo: Demo,
  seeded: SeededTeam,
  folder: string,
  { name, prepare, open, show, aim, locale = 'en-US', single }: Scene,
): Promise<void> {
  const { userId, address } = await prepare(demo, seeded);
  const context = await browser.newContext({
    baseURL: demo.publicUrl,
    viewport: desktop,
    locale,
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  const shoot = async (size: typeof desktop, colorScheme: 'light' | 'dark') => {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    if (aim) await page.evaluate(`document.activeElement?.blur?.()`);
    const target = aim?.(page);
    await target?.evaluate((element) => element.scrollIntoView({ block: 'start' }));
    return page.screenshot({ animations: 'disabled' });
  };
  try {
    await page.goto('/dev/sign-in');
    if (userId !== null) {
      await page.locator(`button[name=userId][value=${userId}]`).first().click();
      await page.waitForURL('**/billing');
      if (open) await open(page, address);
      else {
        if (new URL(page.url()).pathname !== address) await page.goto(address);
        await page.getByRole('heading', { level: 1 }).waitFor();
        await loaded(page);
      }
    }
    await show?.(page);
    await page.mouse.move(0, 0);
    if (single) writeFileSync(join(folder, `${single.name}.png`), await shoot(single, 'light'));
    const looks: { x: number; y: number; image: string }[] = [];
    for (const [row, colorScheme] of (['light', 'dark'] as const).entries())
      for (const [column, size] of [desktop, phone].entries())
        looks.push({
          x: column * (desktop.width + gapPx),
          y: row * (desktop.height + gapPx),
          image: (await shoot(size, colorScheme)).toString('base64'),
        });
    writeFileSync(join(folder, 'page', `${name}.webp`), await compose(await context.newPage(), looks));
  } finally {
    await context.close();
  }
}

/** Puts pictures beside each other. @returns a WebP file */
async function compose(page: Page, looks: readonly { x: number; y: number; image: string }[]) {
  const width = desktop.width + gapPx + phone.width;
  const height = 2 * desktop.height + gapPx;
  const file = await page.evaluate<string>(`(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: ${width}, height: ${height} });
    const context = canvas.getContext('2d');
    context.fillStyle = '#9a9da3';
    context.fillRect(0, 0, ${width}, ${height});
    for (const { x, y, image } of ${JSON.stringify(looks)}) {
      const picture = new Image();
      picture.src = 'data:image/png;base64,' + image;
      await picture.decode();
      context.drawImage(picture, x, y);
    }
    return canvas.toDataURL('image/webp', ${webpQuality}).split(',')[1];
  })()`);
  return Buffer.from(file, 'base64');
}
