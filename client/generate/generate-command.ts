import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { describeApiForClient, fingerprintsOf } from './client-document.ts';

/**
 * `npm run client:generate`: writes the client's types, and the fingerprints of the document that they were made from. The
 * generator needs TypeScript 5, so it is installed beside this file, on first use.
 */
const header = '// Made from the OpenAPI document by `npm run client:generate`. Do not edit.\n';
const here = import.meta.dirname;
const scratch = mkdtempSync(join(tmpdir(), 'client-generate-'));
try {
  installGenerator();
  const document = describeApiForClient();
  const [source, types] = [join(scratch, 'openapi.json'), join(scratch, 'api-types.ts')];
  writeFileSync(source, JSON.stringify(document));
  const program = join(here, 'node_modules/openapi-typescript/bin/cli.js');
  execFileSync(process.execPath, [program, source, '--output', types, '--default-non-nullable=false'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  writeFileSync(join(here, '../api-types.ts'), header + readFileSync(types, 'utf8'));
  writeFileSync(join(here, 'fingerprints.json'), `${JSON.stringify(fingerprintsOf(document), null, 2)}\n`);
} finally {
  rmSync(scratch, { recursive: true });
}

function installGenerator(): void {
  const { dependencies } = z
    .object({ dependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync(join(here, 'package.json'), 'utf8')));
  const isInstalled = Object.entries(dependencies).every(
    ([name, version]) => installedVersion(name) === version,
  );
  if (isInstalled) return;
  const npm = process.env.npm_execpath;
  const [command, ...args] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm'];
  execFileSync(command ?? 'npm', [...args, 'ci', '--ignore-scripts'], {
    cwd: here,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

function installedVersion(name: string): string | undefined {
  try {
    const text = readFileSync(join(here, 'node_modules', name, 'package.json'), 'utf8');
    return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
  } catch {
    return undefined;
  }
}
