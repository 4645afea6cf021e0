import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { type BillingClient, createBillingClient } from '../../client/billing-client.ts';
import { freePort } from '../../dev/free-port.ts';

const root = join(import.meta.dirname, '../..');
const secretsFile = z.object({ serviceApiKey: z.string() });
const seedFile = z.object({ teamId: z.string() });

/** `npm start` on temporary data: the real processes, with the page. */
export interface RunningStack {
  /** `http://localhost:port`: the API and the page. */
  url: string;
  /** The Polar emulator, whose control API acts as payers and banks. */
  emulatorUrl: string;
  /** The client of a service with every scope. */
  client: BillingClient;
  /** `npm run demo -- --seed`. @returns the seeded team's id */
  seed(): Promise<string>;
  /** `npm run ledger:verify`. @throws if a rule of the ledger does not hold */
  verifyLedger(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRunningStack(): Promise<RunningStack> {
  const dataDir = mkdtempSync(join(tmpdir(), 'waveloom-browser-'));
  chmodSync(dataDir, 0o711); // if root runs it, Postgres runs as another user
  const port = await freePort();
  const variables = { ...process.env, DATA_DIR: join(dataDir, 'stack'), PORT: String(port), NODE_ENV: '' };
  const supervisor = spawn(process.execPath, [join(root, 'dev/start.ts')], {
    cwd: root,
    env: variables,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output = await untilUp(supervisor);
  const url = `http://localhost:${port}`;
  const read = (file: string): unknown => JSON.parse(readFileSync(join(dataDir, 'stack', file), 'utf8'));
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, args, { cwd: root, env: variables }).catch((error: unknown) => {
      throw new Error(`${args.join(' ')} failed: ${JSON.stringify(error)}`);
    });
  return {
    url,
    emulatorUrl: emulatorIn(output),
    client: createBillingClient({
      baseUrl: url,
      credentials: { serviceKey: secretsFile.parse(read('secrets.json')).serviceApiKey },
    }),
    async seed() {
      await run('dev/demo.ts', '--seed');
      return seedFile.parse(read('seed.json')).teamId;
    },
    async verifyLedger() {
      await run('ledger/verify/verify-command.ts');
    },
    async stop() {
      const stopped = new Promise((resolve) => supervisor.once('exit', resolve));
      supervisor.kill('SIGTERM');
      await stopped;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** @returns what `npm start` has printed */
function untilUp(supervisor: ChildProcess): Promise<string> {
  let output = '';
  return new Promise((resolve, reject) => {
    supervisor.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('Everything is up')) resolve(output);
    });
    supervisor.once('exit', () => reject(new Error(`npm start has ended:\n${output}`)));
  });
}

/** Among the addresses that `npm start` prints. */
function emulatorIn(output: string): string {
  const [, address] = /Polar emulator\s+(http:\S+)/.exec(output) ?? [];
  if (address === undefined) throw new Error(`npm start has no Polar emulator:\n${output}`);
  return address;
}
