import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const readmes = globSync('*/README.md', { cwd: root, exclude: ['node_modules'] });
const everything = globSync('**/*.*', { cwd: root, exclude: ['node_modules', '.data', '.cache'] });
const texts = [
  'README.md',
  'dev/polar-emulator/README.md',
  ...readmes,
  ...globSync('docs/*.md', { cwd: root }),
];

test.each(readmes)('%s names every file and folder beside it', (readme) => {
  const folder = dirname(readme);
  const text = read(readme);
  const names = [
    ...globSync(`${folder}/*.{ts,mjs,yaml}`, { cwd: root }).map((file) => basename(file)),
    ...globSync(`${folder}/*/`, { cwd: root }).map((path) => `${basename(path)}/`),
  ];
  const unnamed = names.filter(
    (name) => !text.includes(`\`${name}\``) && !text.includes(`\`${stem(name)}\``),
  );
  expect(unnamed).toEqual([]);
});

test.each(texts)('%s names no file and links to none that is not there', (path) => {
  const text = read(path);
  const here = (file: string) =>
    existsSync(join(root, dirname(path), file)) ||
    everything.some((one) => one === file || (one.startsWith(dirname(path)) && one.endsWith(`/${file}`)));
  const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link = '']) => link);
  const files = [...text.matchAll(/`([\w./-]+\.(?:ts|mjs|yaml))`/g)].map(([, file = '']) => file);
  expect([...links, ...files].filter((file) => !here(file))).toEqual([]);
});

function stem(name: string): string {
  return name.replace(/\.\w+$/, '');
}
