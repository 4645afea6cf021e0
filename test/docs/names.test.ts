import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');

/**
 * The same verb stands for the same thing in every layer, so a step of a workflow may have the name of the function that it
 * calls. Within a layer a name is exported once.
 */
const layers = [
  ['workflows'],
  ['activities'],
  ['api', 'catalog', 'database', 'inbox', 'ledger', 'outbox', 'polar', 'reconciliation', 'teams', 'worker'],
];

test.each(layers)('no exported name means two things (%s …)', async (...folders) => {
  const filesByName = new Map<string, string[]>();
  for await (const file of glob(`{${folders.join(',')},_}/**/*.ts`, { cwd: root })) {
    if (file.startsWith('database/migrations/')) continue;
    const code = readFileSync(join(root, file), 'utf8');
    for (const [, name = ''] of code.matchAll(
      /^export (?:async )?(?:function|const|class|interface|type) (\w+)/gm,
    ))
      filesByName.set(name, [...(filesByName.get(name) ?? []), file]);
  }
  expect(filesByName.size).toBeGreaterThan(0);
  const twice = [...filesByName].flatMap(([name, files]) => {
    const different = [...new Set(files)]; // an entity and its type have one name in one file
    return different.length > 1 ? [{ name, files: different }] : [];
  });
  expect(twice).toEqual([]);
});
