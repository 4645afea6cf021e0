import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { describeApiForClient, fingerprintsOf } from '../../client/generate/client-document.ts';

const client = join(import.meta.dirname, '../../client');
const document = describeApiForClient();

test('the client’s types are made from today’s OpenAPI document', () => {
  const generated = JSON.parse(readFileSync(join(client, 'generate/fingerprints.json'), 'utf8'));
  // If this fails: run `npm run client:generate` and commit what it wrote.
  expect(generated).toEqual(fingerprintsOf(document));
});

test('the client’s types contain each operation and schema', () => {
  const types = readFileSync(join(client, 'api-types.ts'), 'utf8');
  const names = [
    ...Object.values(document.paths).flatMap((operations) =>
      Object.values(operations).map(({ operationId }) => operationId),
    ),
    ...Object.keys(document.components.schemas),
  ];
  expect(
    names.filter((name) => !types.includes(`        ${name}: `) && !types.includes(`    ${name}: {`)),
  ).toEqual([]);
});
