import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const readmes = globSync(['*/README.md', '*/*/README.md'], { cwd: root, exclude: ['node_modules'] });
const everything = globSync('**/*.*', { cwd: root, exclude: ['node_modules', '.data', '.cache'] });
const texts = [
  ...globSync('*.md', { cwd: root }),
  ...readmes,
  ...globSync('docs/*.md', { cwd: root }),
  ...globSync('docs/decisions/0*.md', { cwd: root }),
  ...globSync('docs/guides/*.md', { cwd: root }),
];

const folders = globSync('*/', { cwd: root, exclude: ['node_modules', 'docs'] }).map((path) =>
  basename(path),
);

test.each(folders)('%s has a README', (folder) => {
  expect(existsSync(join(root, folder, 'README.md'))).toBe(true);
});

test.each(texts)('%s names and links only existing files', (path) => {
  const text = read(path);
  const here = (file: string) =>
    existsSync(join(root, dirname(path), file)) ||
    everything.some((one) => one === file || one.endsWith(`/${file}`));
  const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link = '']) => link);
  const files = [...text.matchAll(/`([\w./-]+\.(?:ts|mjs|yaml))`/g)].map(([, file = '']) => file);
  expect([...links, ...files].filter((file) => !here(file))).toEqual([]);
});
