import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Names of the browser's program, most likely first. */
const programs = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Chromium loads nothing but our own pages. Playwright switches its sandbox off, which cannot run as root. */
export const chromiumFlags = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-lcd-text', // grey text makes smaller pictures
];

/**
 * The program of an installed Chromium: `CHROMIUM_PATH`, or one on `PATH`.
 * @throws Error with what to do, if there is none
 */
export function findChromium(): string {
  const { CHROMIUM_PATH, PATH = '' } = process.env;
  const candidates = CHROMIUM_PATH
    ? [CHROMIUM_PATH]
    : PATH.split(delimiter).flatMap((folder) => programs.map((program) => join(folder, program)));
  const found = candidates.find(isExecutable);
  if (found) return found;
  throw new Error('Chromium is missing: install it (Debian: chromium), or set CHROMIUM_PATH to its program');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
