import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { pageScenes } from '../../dev/demo/pictures/page-scenes.ts';
import { stateScenes } from '../../dev/demo/pictures/state-scenes.ts';

const docs = join(import.meta.dirname, '../../docs');
const mostBytes = 150_000;

test('docs/page.md shows the picture of each scene once, and each picture has a scene', () => {
  const scenes = [...pageScenes, ...stateScenes].map(({ name }) => `${name}.webp`).sort();
  const shown = [...readFileSync(join(docs, 'page.md'), 'utf8').matchAll(/\(images\/page\/([^)]+)\)/g)];
  expect(shown.map(([, file]) => file).sort()).toEqual(scenes);
  expect(readdirSync(join(docs, 'images/page')).sort()).toEqual(scenes);
});

test('a picture of the page is small, so that the repository stays small', () => {
  const folder = join(docs, 'images/page');
  const large = readdirSync(folder).filter((file) => readFileSync(join(folder, file)).length > mostBytes);
  expect(large).toEqual([]);
});
