import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { buildGuides } from '../../web/build/build-guides.ts';

const root = join(import.meta.dirname, '../..');
let dist: string;
let pages: Map<string, string>;

beforeAll(() => {
  dist = mkdtempSync(join(tmpdir(), 'waveloom-guides-'));
  mkdirSync(join(dist, 'assets'));
  buildGuides(root, dist);
  pages = new Map(
    globSync('guides/*.html', { cwd: dist }).map((file) => [
      `/${file.replace(/(\/index)?\.html$/, '')}`,
      readFileSync(join(dist, file), 'utf8'),
    ]),
  );
});
afterAll(() => rmSync(dist, { recursive: true }));

test('each guide is a page', () => {
  const guides = globSync('docs/guides/*.md', { cwd: root });
  expect(guides.length).toBeGreaterThan(5);
  expect(pages.size).toBe(guides.length);
  expect(pages.get('/guides')).toContain('<h1 id="guides">Guides</h1>');
});

test('a link or a picture of a guide leads to a page, a heading or a file that exists', () => {
  for (const [path, html] of pages)
    for (const [, address = ''] of html.matchAll(/(?:href|src)="([^"]+)"/g))
      expect({ path, address, exists: exists(address) }).toEqual({ path, address, exists: true });
});

test('each help link of the page leads to a guide, and to its heading', () => {
  const code = globSync('web/**/*.tsx', { cwd: root, exclude: ['web/dist'] })
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n');
  const links = [...code.matchAll(/guide(?:: |=)['"]([\w-]+)['"](?:,? anchor(?:: |=)['"]([\w-]+)['"])?/g)];
  expect(links.length).toBeGreaterThan(7);
  for (const [, guide, anchor] of links) {
    const address = `/guides/${guide}${anchor === undefined ? '' : `#${anchor}`}`;
    expect({ address, exists: exists(address) }).toEqual({ address, exists: true });
  }
});

test('a guide has nothing that the Content Security Policy forbids: no script, no inline style', () => {
  for (const html of pages.values()) expect(html).not.toMatch(/<script|<style|\sstyle=|\son\w+=/);
});

function exists(address: string): boolean {
  if (/^https:/.test(address) || address === '/') return true;
  if (address.startsWith('/assets/')) return existsSync(join(dist, address));
  const [path = '', anchor] = address.split('#');
  const html = pages.get(path);
  return html !== undefined && (anchor === undefined || html.includes(` id="${anchor}"`));
}
