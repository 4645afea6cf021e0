import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { firstKey, type RunningApi, startApi } from '../api/running-api.ts';

const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);
let api: RunningApi;
let project: string;
beforeAll(async () => {
  api = await startApi();
  project = await mkdtemp(join(tmpdir(), 'client-package-'));
});
afterAll(async () => {
  await rm(project, { recursive: true });
  await api.stop();
});

test('the packed client is installed into an empty project and calls the API', async () => {
  // Its own prepack builds it. Scripts of other packages do not run.
  await run('npm', ['pack', join(root, 'client'), '--ignore-scripts=false', '--pack-destination', project], {
    cwd: root,
  });
  // Its dependencies are packed from here, so that the test needs no network.
  for (const name of ['openapi-fetch', 'openapi-typescript-helpers']) {
    const folder = join(root, 'node_modules', name);
    await run('npm', ['pack', folder, '--ignore-scripts', '--pack-destination', project], { cwd: root });
  }
  await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }');
  const tarballs = (await readdir(project)).filter((file) => file.endsWith('.tgz'));
  expect(tarballs).toHaveLength(3);
  const install = ['install', '--offline', '--no-audit', '--no-fund', ...tarballs.map((file) => `./${file}`)];
  await run('npm', install, { cwd: project });
  await writeFile(
    join(project, 'call.js'),
    `import { createBillingClient } from '@waveloom/billing-client';
     const billing = createBillingClient({ baseUrl: '${api.url}', credentials: { serviceKey: '${firstKey}' } });
     console.log((await billing.GET('/v1/catalog')).priceVersion);`,
  );
  expect((await run(process.execPath, ['call.js'], { cwd: project })).stdout).toBe('1\n');
});

test('the package depends on the versions that are tested here', async () => {
  const read = async (path: string) => JSON.parse(await readFile(join(root, path), 'utf8'));
  const [client, product] = [await read('client/package.json'), await read('package.json')];
  expect(product.devDependencies).toMatchObject(client.dependencies);
});
