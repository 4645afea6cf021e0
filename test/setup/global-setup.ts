import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { leash } from '../../dev/part.ts';
import { startPostgres } from '../../dev/postgres.ts';
import { resolveTemporal } from '../../dev/resolve-temporal.ts';

/**
 * Everything that the test files of a run share: a temporary Postgres with a migrated database to copy, and the two
 * Temporal programs. Test files find them in `process.env`.
 */
export default async function globalSetup(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'waveloom-test-'));
  await chmod(directory, 0o711); // Postgres may have to run as another user
  leash().removeInTheEnd(directory);
  const say = (what: string) => void process.stderr.write(`  ${what}\n`);

  const postgres = await startPostgres({
    dataDir: join(directory, 'postgres'),
    logFile: join(directory, 'postgres.log'),
    password: randomBytes(16).toString('hex'),
    // No test cuts the machine's power, and a killed Postgres loses nothing.
    durable: false,
  });
  globalThis.stopTestStack = async () => {
    await postgres.part.stop();
    await rm(directory, { recursive: true, force: true });
  };

  const template = 'template_of_tests';
  await postgres.createDatabase(template);
  const application = new URL(postgres.url(template));
  [application.username, application.password] = ['billing', randomBytes(16).toString('hex')];
  await migrate(postgres.url(template), application.href);
  process.env.TEST_APPLICATION_URL = application.href;
  process.env.TEST_POSTGRES_URL = postgres.url('postgres');
  process.env.TEST_DATABASE_TEMPLATE = template;

  for (const program of ['temporal', 'temporal-test-server'] as const) {
    const found = await resolveTemporal(program, { onProgress: say });
    process.env[program === 'temporal' ? 'TEST_TEMPORAL_CLI' : 'TEST_TEMPORAL_TEST_SERVER'] = found.path;
  }
}

/** In a separate process: Jest runs this file as CommonJS, in which MikroORM does not work. */
async function migrate(ownerUrl: string, applicationUrl: string): Promise<void> {
  const script =
    "import { migrateDatabase } from './database/migrate-database.ts'; await migrateDatabase(process.env.OWNER, process.env.APPLICATION);";
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: join(import.meta.dirname, '..', '..'),
    env: { PATH: process.env.PATH, OWNER: ownerUrl, APPLICATION: applicationUrl },
  });
}

declare global {
  // Jest runs setup and teardown in one process but as separate modules, so they share the global object.
  var stopTestStack: (() => Promise<void>) | undefined;
}
