import { globSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');
const kept = readFileSync(join(root, '.dockerignore'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('!'))
  .map((line) => line.slice(1));
const folders = globSync('*/', { cwd: root, exclude: ['node_modules'] }).map((path) =>
  path.replace(/\/$/, ''),
);

/** Folders that do not run in production. A new folder belongs here or in the image. */
const onlyForDevelopment = ['bench', 'dev', 'docs', 'polar-emulator', 'test'];

test('the image contains every top-level module', () => {
  const modules = globSync('*.ts', { cwd: root });
  expect(modules.length).toBeGreaterThan(3);
  for (const file of modules) expect(kept).toContain(file);
});

test('the image contains every folder except those for development', () => {
  const inImage = folders.filter((folder) => kept.includes(folder));
  expect([...inImage, ...onlyForDevelopment].sort()).toEqual(folders.sort());
});

test('what runs in the image imports only what is in the image', () => {
  const files = globSync(
    kept.flatMap((path) => (folders.includes(path) ? `${path}/**/*.ts` : path.endsWith('.ts') ? path : [])),
    { cwd: root },
  );
  expect(files.length).toBeGreaterThan(100);
  const missing = files.flatMap((file) => {
    const code = readFileSync(join(root, file), 'utf8');
    return [...code.matchAll(/^(?:import|export) (?!type )[^;]*?'(\.[^']+)';/gm)]
      .map(([, path = '']) => posix.join(posix.dirname(file), path))
      .filter((path) => !kept.includes(path.split('/')[0] ?? ''))
      .map((path) => `${file} imports ${path}`);
  });
  expect(missing).toEqual([]);
});
