import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { resolveTemporal } from '../../dev/resolve-temporal.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'waveloom-resolve-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

test('a temporal on PATH is used before everything else, and named', async () => {
  const bin = program('good', 'echo "temporal version 1.9.1 (Server 1.32.0)"');
  const found = await resolveTemporal('temporal', {
    env: { PATH: bin },
    cacheDir: cacheOf('temporal-1.9.1'),
  });
  expect(found.path).toBe(join(bin, 'temporal'));
  expect(found.from).toContain('PATH');
});

test('a temporal on PATH that does not run is skipped', async () => {
  const broken = program('broken', 'exit 1');
  const other = program('other', 'echo "a temporal of another trade"');
  const cacheDir = cacheOf('temporal-1.9.1');
  const found = await resolveTemporal('temporal', { env: { PATH: `${broken}:${other}` }, cacheDir });
  expect(found.path).toBe(join(cacheDir, 'temporal-1.9.1'));
});

test('what is in the cache is used without a network', async () => {
  const cacheDir = cacheOf('temporal-test-server-1.40.0');
  const found = await resolveTemporal('temporal-test-server', { env: {}, cacheDir });
  expect(found).toEqual({
    path: join(cacheDir, 'temporal-test-server-1.40.0'),
    from: expect.stringContaining('downloaded earlier'),
  });
});

test('a cached program that differs from its download is downloaded again', async () => {
  const cacheDir = cacheOf('temporal-test-server-1.40.0');
  writeFileSync(join(cacheDir, 'temporal-test-server-1.40.0'), 'damaged');
  const asked: string[] = [];
  const abort = AbortSignal.abort();
  await expect(
    resolveTemporal('temporal-test-server', {
      env: {},
      cacheDir,
      abort,
      onProgress: (what) => asked.push(what),
    }),
  ).rejects.toThrow();
  expect(asked[0]).toContain('downloading temporal-test-server');
});

function program(name: string, body: string): string {
  const bin = join(directory, name);
  mkdirSync(bin);
  writeFileSync(join(bin, 'temporal'), `#!/bin/sh\n${body}\n`);
  chmodSync(join(bin, 'temporal'), 0o755);
  return bin;
}

/** A cache with this program and its checksum. */
function cacheOf(name: string): string {
  const cacheDir = mkdtempSync(join(directory, 'cache-'));
  writeFileSync(join(cacheDir, name), 'a program');
  writeFileSync(join(cacheDir, `${name}.sha256`), createHash('sha256').update('a program').digest('hex'));
  return cacheDir;
}
