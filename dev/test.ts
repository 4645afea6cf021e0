import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { findLoggedSecrets } from './logged-secrets.ts';
import { leash } from './part.ts';

/**
 * `npm test`: format and lint, types, then every test. `npm test -- ledger` passes the arguments to Jest and runs only
 * matching tests. The last line is always `N passed, N failed`.
 */
const root = resolve(import.meta.dirname, '..');
const program = (path: string) => join(root, 'node_modules', path);
const jestArguments = process.argv.slice(2);
// Biome treats a CI's environment as a terminal.
const colors = process.stdout.isTTY ? [] : ['--colors=off'];
const jestResult = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numRuntimeErrorTestSuites: z.int(),
});
/** How long a program may take to exit after it has written its results. */
const exitGraceMs = 30_000;
const results: { passed: number; failed: number } = { passed: 0, failed: 0 };

if (jestArguments.length === 0) {
  await check('format and lint (Biome)', [program('@biomejs/biome/bin/biome'), 'ci', ...colors, '.']);
  await check('types (tsc)', [program('typescript/bin/tsc'), '-p', root]);
  await check('types of the page (tsc)', [program('typescript/bin/tsc'), '-p', join(root, 'web')]);
}
await runTests();
console.log(`${results.passed} passed, ${results.failed} failed`);
process.exit(results.failed === 0 ? 0 : 1);

async function check(what: string, command: string[]): Promise<void> {
  const started = performance.now();
  console.log(`\n── ${what}`);
  const ok = (await runNode(command)) === 0;
  results[ok ? 'passed' : 'failed'] += 1;
  console.log(`${ok ? '✓' : '✗'} ${what} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
}

async function runTests(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'waveloom-jest-'));
  leash().removeInTheEnd(directory);
  process.env.LOG_COPY_DIRECTORY = mkdtempSync(join(directory, 'logs-'));
  console.log('\n── tests (Jest)');
  await runJest(join(directory, 'results.json'));
  searchLogs(process.env.LOG_COPY_DIRECTORY);
  rmSync(directory, { recursive: true, force: true });
}

async function runJest(outputFile: string): Promise<void> {
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const options = ['--json', `--outputFile=${outputFile}`];
  const code = await runNode([...flags, program('jest/bin/jest.js'), ...options, ...jestArguments], () =>
    existsSync(outputFile),
  );
  const counts = readCounts(outputFile);
  results.passed += counts.passed;
  // Jest can fail without a failed test: a test file that cannot be loaded, or no test found.
  results.failed += Math.max(counts.failed, code === 0 ? 0 : 1);
}

/** Counts as a test: no log of the test files and of their processes contains a secret or personal data. */
function searchLogs(directory: string): void {
  const { lines, found } = findLoggedSecrets(directory);
  // A run of all tests without a line would mean that the search reads nothing.
  const ok = found.length === 0 && (lines > 0 || jestArguments.length > 0);
  results[ok ? 'passed' : 'failed'] += 1;
  console.log(`${ok ? '✓' : '✗'} no secret in ${lines} lines of logs`);
  const counts = Map.groupBy(found, ({ kind, file }) => `${kind} in ${file}`);
  for (const [what, { length }] of counts) console.log(`  ${what}: ${length} lines`);
}

function readCounts(file: string): { passed: number; failed: number } {
  try {
    const result = jestResult.parse(JSON.parse(readFileSync(file, 'utf8')));
    return {
      passed: result.numPassedTests,
      failed: result.numFailedTests + result.numRuntimeErrorTestSuites,
    };
  } catch {
    return { passed: 0, failed: 0 };
  }
}

/**
 * Runs a program in a session of its own. The whole process group is ended with it, so nothing that a test started
 * outlives the test run.
 *
 * @param isDone  whether the program has written its results. If it still runs half a minute later, it is ended and
 *   counts as failed: a test left something open, which would keep the process alive for ever
 */
async function runNode(args: string[], isDone = () => false): Promise<number> {
  const held = leash(); // before the program: if we are killed in between, nothing would end it
  const child = spawn(process.execPath, args, {
    cwd: root,
    detached: true,
    stdio: ['ignore', 1, 1], // one stream, so that headings and their contents stay in order
  });
  const { pid } = child;
  if (pid === undefined) return 1;
  held.hold(pid, 'SIGTERM');
  const stop = (signal: NodeJS.Signals) => {
    endGroup(pid);
    process.exitCode = 1;
    console.log(`Interrupted by ${signal}`);
    process.exit();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop);
  let doneSince: number | undefined;
  const watch = setInterval(() => {
    if (!isDone()) return;
    doneSince ??= performance.now();
    if (performance.now() - doneSince < exitGraceMs) return;
    clearInterval(watch);
    console.log('✗ All tests have ended, but one of them left something running: its process is ended now');
    endGroup(pid);
  }, 1_000);
  const code = await new Promise<number>((done) => child.once('exit', (status) => done(status ?? 1)));
  clearInterval(watch);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, stop);
  endGroup(pid);
  held.release(pid);
  return code;
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group has already ended.
  }
}
