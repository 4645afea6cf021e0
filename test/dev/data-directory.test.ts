import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openDataDirectory } from '../../dev/data-directory.ts';
import { startPostgres, withClient } from '../../dev/postgres.ts';

let above: string;
beforeEach(() => {
  above = mkdtempSync(join(tmpdir(), 'waveloom-data-'));
});
afterEach(() => rmSync(above, { recursive: true }));

const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);

test('the contents of DATA_DIR can be read only by its owner', async () => {
  const directory = await openDataDirectory(join(above, 'deep', 'data'));
  directory.announce({ POLAR_WEBHOOK_SECRET: 'secret' });
  for (const path of ['deep', 'deep/data']) expect(modeOf(join(above, path))).toBe('700');
  for (const file of ['secrets.json', 'ports.json', 'stack.json', 'stack.lock']) {
    expect(modeOf(join(directory.path, file))).toBe('600');
  }
  directory.release();
});

test('a DATA_DIR of an earlier release, or an empty one, is closed to other users; one with other files keeps its mode', async () => {
  const [earlier, empty, shared, theirs] = ['earlier', 'empty', 'shared', 'theirs'].map((name) => {
    const path = join(above, name);
    mkdirSync(path);
    chmodSync(path, name === 'shared' ? 0o1777 : 0o755);
    return path;
  });
  if (!earlier || !empty || !shared || !theirs) throw new Error('four directories are needed');
  (await openDataDirectory(earlier)).release();
  chmodSync(earlier, 0o711);
  mkdirSync(join(earlier, 'logs'));
  chmodSync(join(earlier, 'logs'), 0o755);
  writeFileSync(join(theirs, 'letter.txt'), '');
  for (const path of [earlier, empty, shared, theirs, theirs]) (await openDataDirectory(path)).release();
  expect([earlier, join(earlier, 'logs'), empty, shared, theirs].map(modeOf)).toEqual([
    '700',
    '700',
    '700',
    '1777',
    '755',
  ]);
});

test('Postgres reaches its data below a DATA_DIR that only its owner may enter', async () => {
  const directory = await openDataDirectory(join(above, 'data'));
  const postgres = await startPostgres({
    dataDir: join(directory.path, 'postgres'),
    logFile: directory.logFile('postgres'),
    password: directory.secrets.postgresPassword,
    durable: false,
  });
  const { rows } = await withClient(postgres.url('postgres'), (client) => client.query('select 1 as one'));
  expect(rows).toEqual([{ one: 1 }]);
  expect([modeOf(directory.path), modeOf(join(directory.path, 'postgres'))]).toEqual(['700', '700']);
  await postgres.part.stop();
  directory.release();
}, 60_000);
