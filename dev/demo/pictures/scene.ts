import type { Locator, Page } from 'playwright-core';
import type { Demo } from '../connect.ts';
import type { SeededTeam } from '../seed.ts';

/** A page in a state, of which pictures are taken. */
export interface Scene {
  /** The file's name without its ending. */
  name: string;
  /** What must have happened before. @returns who looks (null: nobody is signed in), and at which address */
  prepare(demo: Demo, seeded: SeededTeam): Promise<{ userId: string | null; address: string }>;
  /** Opens the address. By default it is opened, and the scene waits until every card is loaded. */
  open?(page: Page, address: string): Promise<unknown>;
  /** Brings the opened page into the state, and waits for it. */
  show?(page: Page): Promise<unknown>;
  /** What is scrolled to the top. By default nothing is scrolled. */
  aim?(page: Page): Locator;
  /** By default `en-US`. */
  locale?: string;
  /** Also a light picture of this size in pixels, as `{name}.png`. */
  single?: { name: string; width: number; height: number };
}

/** No card is loading any more. */
export async function loaded(page: Page): Promise<void> {
  await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' });
}
