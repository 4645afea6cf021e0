import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, parse, posix } from 'node:path';
import { Marked, type Tokens } from 'marked';

/**
 * Writes the guides of `docs/guides/` as pages without scripts into `guides/` of a folder. Their style sheet and their pictures
 * go into `assets/`, with a hash in the name. `README.md` becomes `index.html`.
 * @throws Error if a picture is missing or is no PNG
 */
export function buildGuides(root: string, dist: string): void {
  const addAsset = (file: string): string => {
    const content = readFileSync(file);
    const hash = createHash('sha256').update(content).digest('hex').slice(0, 8);
    const name = `${parse(file).name}-${hash}${parse(file).ext}`;
    writeFileSync(join(dist, 'assets', name), content);
    return `/assets/${name}`;
  };
  const style = addAsset(join(root, 'web/build/guides.css'));
  const icon = addAsset(join(root, 'web/icon.svg'));
  const guides = globSync('docs/guides/*.md', { cwd: root }).sort();
  const titles = guides.map((file) => ({ name: nameOf(file), title: titleOf(join(root, file)) }));
  mkdirSync(join(dist, 'guides'), { recursive: true });
  for (const file of guides) {
    const name = nameOf(file);
    const html = toHtml(readFileSync(join(root, file), 'utf8'), (picture) => {
      const path = join(root, posix.join('docs/guides', picture));
      return { address: addAsset(path), ...sizeOfPng(path) };
    });
    const page = pageOf({ style, icon, name, titles, html });
    writeFileSync(join(dist, 'guides', `${name}.html`), page);
  }
}

interface Picture {
  address: string;
  width: number;
  height: number;
}

/** The guides are our own files, so their HTML needs no sanitising. */
function toHtml(markdown: string, addPicture: (path: string) => Picture): string {
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }: Tokens.Heading) {
        return `<h${depth} id="${anchorOf(text)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link({ href, tokens }: Tokens.Link) {
        return `<a href="${escapeHtml(addressOf(href))}">${this.parser.parseInline(tokens)}</a>`;
      },
      image({ href, text }: Tokens.Image) {
        const { address, width, height } = addPicture(href);
        return `<img src="${address}" alt="${escapeHtml(text)}" width="${width}" height="${height}" loading="lazy">`;
      },
      table({ header, rows }: Tokens.Table) {
        const cell = (tag: string, { tokens }: Tokens.TableCell) =>
          `<${tag}>${this.parser.parseInline(tokens)}</${tag}>`;
        const head = header.map((one) => cell(one.text === '' ? 'td' : 'th', one)).join('');
        const body = rows.map((row) => `<tr>${row.map((one) => cell('td', one)).join('')}</tr>`).join('\n');
        return `<div class="table"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>\n`;
      },
    },
  });
  return marked.parse(markdown, { async: false });
}

function pageOf({
  style,
  icon,
  name,
  titles,
  html,
}: {
  style: string;
  icon: string;
  name: string;
  titles: { name: string; title: string }[];
  html: string;
}): string {
  const links = titles.map((one) => {
    const current = one.name === name ? ' aria-current="page"' : '';
    return `<li><a href="${one.name === 'index' ? '/guides' : `/guides/${one.name}`}"${current}>${escapeHtml(one.title)}</a></li>`;
  });
  const title = titles.find((one) => one.name === name)?.title ?? '';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} · Waveloom</title>
<link rel="icon" type="image/svg+xml" href="${icon}">
<link rel="stylesheet" href="${style}">
</head>
<body>
<header><a href="/">Billing</a><nav aria-label="Guides"><ul>${links.join('')}</ul></nav></header>
<main>
${html}</main>
</body>
</html>
`;
}

/** `subscriptions.md#refunds` → `/guides/subscriptions#refunds`. Other addresses stay. */
function addressOf(href: string): string {
  const [, name, anchor = ''] = /^([\w-]+)\.md(#.*)?$/.exec(href) ?? [];
  if (name === undefined) return href;
  return name === 'README' ? `/guides${anchor}` : `/guides/${name}${anchor}`;
}

/** As GitHub makes anchors: lower case, spaces as hyphens, without punctuation. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .replaceAll(/\s/g, '-');
}

function nameOf(file: string): string {
  const { name } = parse(basename(file));
  return name === 'README' ? 'index' : name;
}

function titleOf(path: string): string {
  const [, title] = /^# (.+)$/m.exec(readFileSync(path, 'utf8')) ?? [];
  if (title === undefined) throw new Error(`${path} must begin with a title`);
  return title;
}

/** The width and height in pixels, which a PNG has at a fixed place. */
function sizeOfPng(path: string): { width: number; height: number } {
  const content = readFileSync(path);
  if (content.toString('latin1', 1, 4) !== 'PNG') throw new Error(`${path} must be a PNG`);
  return { width: content.readUInt32BE(16), height: content.readUInt32BE(20) };
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
