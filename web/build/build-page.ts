import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'vite';
import { buildGuides } from './build-guides.ts';
import { compressFiles } from './compress-files.ts';
import { checkFirstLoad } from './first-load.ts';

const root = resolve(import.meta.dirname, '../..');
const dist = join(root, 'web/dist');
const stamp = join(dist, 'sources.sha256');

/**
 * Builds web/dist: the page, the guides, and `.br` and `.gz` of each text file beside it. The hash of the sources is written last, so that
 * a build that was interrupted is made again.
 * @returns one line about the result
 * @throws Error if the page does not build, or its first load is larger than its budget
 */
export async function buildPage({ force = false } = {}): Promise<string> {
  const sources = hashSources();
  if (!force && existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) return 'up to date';
  process.env.NODE_ENV = 'production'; // otherwise React's development version is built
  await build({ configFile: join(root, 'web/build/vite.config.ts'), logLevel: 'warn' });
  const firstLoadBytes = checkFirstLoad(dist);
  buildGuides(root, dist);
  await compressFiles(dist);
  writeFileSync(stamp, sources);
  return `${Math.round(firstLoadBytes / 1000)} kB of script at first load`;
}

/** A hash of everything that the page is made from. */
function hashSources(): string {
  const files = globSync(
    [
      'web/**/*.{ts,tsx,css,html,svg,json}',
      'client/*.ts',
      'package-lock.json',
      'tsconfig.json',
      'docs/guides/*.md',
      'docs/images/*.png',
    ],
    {
      cwd: root,
      exclude: (path) => path.startsWith('web/dist'),
    },
  );
  const hash = createHash('sha256');
  for (const file of files.sort())
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0');
  return hash.digest('hex');
}
