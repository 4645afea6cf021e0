import { resolve } from 'node:path';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig, type Plugin } from 'vite';

const page = resolve(import.meta.dirname, '..');
/** The API's paths, for `npm run web:dev`. */
const apiPaths = ['/v1', '/session', '/dev', '/docs', '/guides', '/openapi.json'];
const silenced = ['MODULE_LEVEL_DIRECTIVE', 'PLUGIN_TIMINGS'];
const api = process.env.WEB_API ?? 'http://localhost:3000';

export default defineConfig({
  root: page,
  base: '/',
  plugins: [tailwindcss(), onlyOurLanguages()],
  // The API writes the nonce of each answer in place of this text.
  html: { cspNonce: '__CSP_NONCE__' },
  server: { proxy: Object.fromEntries(apiPaths.map((path) => [path, { target: api }])) },
  build: {
    outDir: resolve(page, 'dist'),
    emptyOutDir: true,
    manifest: true,
    target: 'es2023',
    assetsInlineLimit: 0, // the CSP allows no data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1_000, // first-load.ts has the budget
    rolldownOptions: {
      // Warnings about "use client" in React's packages, and about slow plugins, are of no use here.
      onLog: (level, entry, log) => !silenced.includes(entry.code ?? '') && log(level, entry),
    },
  },
});

/** React Aria has its texts in more than 30 languages, in one module for each. Only those of the page's languages are kept. */
function onlyOurLanguages(): Plugin {
  const text = /react-(?:aria|stately|aria-components)\/dist\/private\/intl\/.*\/([a-z]{2}-[A-Z]{2})\.m?js$/;
  return {
    name: 'only-our-languages',
    enforce: 'pre',
    load(id) {
      const [, locale] = text.exec(id) ?? [];
      return locale && !['en-US', 'de-DE'].includes(locale) ? 'export default {};' : undefined;
    },
  };
}
