import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { errorsAsMarkdown } from '../../api/describe-errors.ts';

test('docs/errors.md is the table of errors: run npm run errors:write', () => {
  const written = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  expect(written).toBe(errorsAsMarkdown());
});
