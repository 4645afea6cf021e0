import { writeFileSync } from 'node:fs';
import { errorsAsMarkdown } from './describe-errors.ts';

/** `npm run errors:write`: writes docs/errors.md from the table of errors. */
writeFileSync(new URL('../docs/errors.md', import.meta.url), errorsAsMarkdown());
