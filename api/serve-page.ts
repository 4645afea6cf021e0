import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Express, RequestHandler, Response } from 'express';
import expressStaticGzip from 'express-static-gzip';

/** The built page and who may embed it. */
export interface PageSettings {
  /** The output of `web/`'s build: `index.html`, and `assets/` with a hash in each name. */
  directory: string;
  /** The origin whose pages may show ours in a frame; undefined: none. */
  dashboardOrigin: string | undefined;
}

/** The build writes this instead of a nonce (Vite's `html.cspNonce`). Each answer gets its own nonce. */
const noncePlaceholder = '__CSP_NONCE__';
/** Paths of the page; the page itself decides what they show. */
const pagePaths = ['/', '/teams', '/teams/*path'];
/** The guides for users, which the build makes from `docs/guides/`. */
const guidePath = /^\/guides(?:\/([a-z-]+))?$/;
/** Files that keep their name, such as the icon. The names in `assets/` change with their content. */
const fixedFilePath = /^\/[\w-]+\.(?:svg|png|ico|webmanifest|txt)$/;

/** Serves the page of `web/`, the guides and their files. Without a built page the page's paths answer with one line. */
export function servePage(app: Express, { directory, dashboardOrigin }: PageSettings): void {
  const send = (file: string, response: Response) =>
    sendHtml(join(directory, file), response, dashboardOrigin);
  app.get(pagePaths, (_request, response) => send('index.html', response));
  app.get(guidePath, (request, response, next) => {
    const file = `guides/${request.params[0] ?? 'index'}.html`;
    return existsSync(join(directory, file)) ? send(file, response) : next();
  });
  app.use('/assets', serveFiles(join(directory, 'assets'), { maxAge: '1y', immutable: true }));
  app.get(fixedFilePath, serveFiles(directory, { maxAge: 0 }));
}

/** A compressed file beside the original is sent to browsers that accept it. */
function serveFiles(directory: string, caching: { maxAge: string | 0; immutable?: boolean }): RequestHandler {
  return expressStaticGzip(directory, {
    enableBrotli: true,
    orderPreference: ['br', 'gzip'],
    index: false,
    serveStatic: { ...caching, redirect: false },
  });
}

/** The file is read for each answer, so a new build needs no restart. It is small. */
async function sendHtml(file: string, response: Response, dashboardOrigin: string | undefined) {
  if (!existsSync(file)) {
    response
      .status(404)
      .type('text/plain')
      .send('The page is not built: run npm run web:build. The API is documented at /docs.\n');
    return;
  }
  const html = await readFile(file, 'utf8');
  const nonce = randomBytes(16).toString('base64');
  response.setHeader('Content-Security-Policy', pagePolicy(nonce, dashboardOrigin));
  // It contradicts `frame-ancestors` and knows no origins.
  if (dashboardOrigin !== undefined) response.removeHeader('X-Frame-Options');
  response.setHeader('Cache-Control', 'no-store');
  response.type('html').send(html.replaceAll(noncePlaceholder, nonce));
}

/** Nothing inline but styles with the nonce of this answer; everything from our own origin. */
function pagePolicy(nonce: string, dashboardOrigin: string | undefined): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    `frame-ancestors ${dashboardOrigin ?? "'none'"}`,
  ].join('; ');
}
