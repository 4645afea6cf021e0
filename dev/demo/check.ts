import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { screen } from './screen.ts';

/** A figure that differs from the catalog's. */
export class WrongFigure extends Error {
  override name = 'WrongFigure';

  constructor(what: string, expected: string, found: string) {
    super(`${what} is wrong\n  expected  ${expected}\n  found     ${found}`);
  }
}

/** How long a step in the background may take, in milliseconds. */
const patienceMs = 30_000;
const pollPauseMs = 50;

let checked = 0;

/** How many figures have been checked. */
export function figuresChecked(): number {
  return checked;
}

/** @throws WrongFigure if `came` is not `expected` */
export function check(what: string, came: unknown, expected: unknown): void {
  checked += 1;
  if (!isDeepStrictEqual(came, expected)) throw new WrongFigure(what, inWords(expected), inWords(came));
}

/**
 * Polls until the selected part of the answer is as expected. Shows what it waits for if that takes long.
 * @returns the last answer, and the seconds that it took
 * @throws WrongFigure if it is still different after half a minute
 */
export async function waitUntil<Answer>(
  what: string,
  ask: () => Promise<Answer>,
  look: (answer: Answer) => unknown,
  expected: unknown,
): Promise<{ answer: Answer; seconds: number }> {
  const started = performance.now();
  while (true) {
    const answer = await ask();
    const waited = performance.now() - started;
    if (waited > patienceMs || isDeepStrictEqual(look(answer), expected)) {
      screen.waitIsOver();
      check(
        waited > patienceMs ? `${what}, after ${patienceMs / 1000} s of waiting,` : what,
        look(answer),
        expected,
      );
      return { answer, seconds: waited / 1000 };
    }
    screen.waitsFor(what, waited);
    await pause(pollPauseMs);
  }
}

function inWords(value: unknown): string {
  if (typeof value === 'string') return value;
  return (
    JSON.stringify(value, (_key, each) => (typeof each === 'bigint' ? Number(each) / 1e6 : each)) ?? 'nothing'
  );
}
