import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { screen } from './screen.ts';

/** Something is not as the catalog says that it must be. */
export class WrongFigure extends Error {
  override name = 'WrongFigure';

  constructor(what: string, expected: string, came: string) {
    super(`${what} is wrong\n  expected  ${expected}\n  came      ${came}`);
  }
}

/** How long a step may take that others do in the background, in milliseconds. */
const patience = 30_000;
const askEvery = 50;

let checked = 0;

/** How many figures were checked so far. */
export function figuresChecked(): number {
  return checked;
}

/** @throws WrongFigure where `came` is not `expected` */
export function check(what: string, came: unknown, expected: unknown): void {
  checked += 1;
  if (!isDeepStrictEqual(came, expected)) throw new WrongFigure(what, inWords(expected), inWords(came));
}

/**
 * Asks until the answer is the expected one. Says what it waits for where that takes long.
 * @returns the seconds that it took
 * @throws WrongFigure with the last answer when it still is another one after half a minute
 */
export async function waitUntil(what: string, ask: () => Promise<unknown>, expected: unknown): Promise<number> {
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  while (true) {
    const came = await ask();
    if (isDeepStrictEqual(came, expected) || elapsed() > patience) {
      screen.waitIsOver();
      check(elapsed() > patience ? `${what}, after ${patience / 1000} s of waiting,` : what, came, expected);
      return elapsed() / 1000;
    }
    screen.waitsFor(what, elapsed());
    await pause(askEvery);
  }
}

function inWords(value: unknown): string {
  if (typeof value === 'string') return value;
  return JSON.stringify(value, (_key, each) => (typeof each === 'bigint' ? Number(each) / 1e6 : each)) ?? 'nothing';
}
