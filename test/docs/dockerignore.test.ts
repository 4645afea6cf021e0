import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');

test('the image contains every top-level module', () => {
  const kept = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n');
  const modules = globSync('*.ts', { cwd: root });
  expect(modules.length).toBeGreaterThan(3);
  for (const file of modules) expect(kept).toContain(`!${file}`);
});
