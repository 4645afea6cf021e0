import { buildPage } from './build-page.ts';

/** `npm run web:build`: builds the page if its sources have changed. `--force` builds it in any case. */
console.log(await buildPage({ force: process.argv.includes('--force') }));
