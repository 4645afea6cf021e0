import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';

/** The largest first load of the page, in bytes of gzipped script. */
export const firstLoadBudgetBytes = 170_000;

const manifestSchema = z.record(
  z.string(),
  z.object({
    file: z.string(),
    isEntry: z.boolean().default(false),
    imports: z.array(z.string()).default([]),
  }),
);

/**
 * The gzipped size of the scripts that the browser loads before the first page is shown: the entry and its static imports.
 * @throws Error if it is larger than its budget
 */
export function checkFirstLoad(dist: string): number {
  const chunks = manifestSchema.parse(JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8')));
  const loaded = new Set<string>();
  const load = (name: string): void => {
    const chunk = chunks[name];
    if (!chunk) throw new Error(`The manifest of the page must have ${name}`);
    if (loaded.has(chunk.file)) return;
    loaded.add(chunk.file);
    for (const each of chunk.imports) load(each);
  };
  for (const [name, { isEntry }] of Object.entries(chunks)) if (isEntry) load(name);
  let bytes = 0;
  for (const file of loaded) bytes += gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;
  if (bytes > firstLoadBudgetBytes) {
    throw new Error(
      `The first load of the page is ${bytes} bytes of gzipped script, over ${firstLoadBudgetBytes}`,
    );
  }
  return bytes;
}
