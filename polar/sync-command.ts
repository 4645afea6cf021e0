import { connectDatabase } from '../database/connection.ts';
import { DomainError } from '../domain-error.ts';
import { readEnvironment } from '../environment.ts';
import { runCommand } from '../run-command.ts';
import { createPolarClient } from './client.ts';
import { type SyncStep, syncProducts } from './sync-products.ts';

/**
 * `npm run polar:sync [-- --apply]`: shows how Polar's products differ from the catalog. With `--apply` it changes
 * Polar's products.
 */
await runCommand(async () => {
  const apply = readArguments(process.argv.slice(2));
  const { polar, databaseUrl } = readEnvironment(process.env, ['polar', 'databaseUrl']);
  const database = await connectDatabase(databaseUrl, { pool: 2 });
  try {
    const { catalogVersion, steps, warnings } = await syncProducts(createPolarClient(polar), database, {
      apply,
    });
    console.log(`Catalog version ${catalogVersion} and the products at Polar (${polar.server}):`);
    for (const step of steps) console.log(describe(step));
    for (const warning of warnings) console.log(`! ${warning}`);
    console.log(summary(steps, apply));
  } finally {
    await database.close();
  }
});

function readArguments(given: string[]): boolean {
  const unknown = given.filter((argument) => argument !== '--apply');
  if (unknown.length === 0) return given.includes('--apply');
  throw new DomainError(
    'unknown_argument',
    `Unknown: ${unknown.join(' ')}. Usage: npm run polar:sync [-- --apply]`,
  );
}

function describe(step: SyncStep): string {
  const sign = { create: '+', update: '~', archive: '-', keep: ' ' }[step.kind];
  const head = `${sign} ${step.key}`;
  return step.kind === 'keep' ? head : [head, ...step.differences.map((line) => `    ${line}`)].join('\n');
}

function summary(steps: readonly SyncStep[], apply: boolean): string {
  const changes = steps.filter(({ kind }) => kind !== 'keep').length;
  if (changes === 0)
    return apply ? 'Nothing to change. Our database knows every product.' : 'Nothing to change.';
  const what = changes === 1 ? '1 product' : `${changes} products`;
  return apply ? `Changed ${what}.` : `Would change ${what}: run npm run polar:sync -- --apply`;
}
