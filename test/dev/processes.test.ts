import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openDataDirectory } from '../../dev/data-directory.ts';
import { PartFailed, runTask, startPart } from '../../dev/part.ts';
import { commandOf } from '../../dev/process-command.ts';
import { supervise } from '../../dev/supervisor.ts';

const root = resolve(import.meta.dirname, '..', '..');
const path = { PATH: process.env.PATH ?? '' };
let directory: string;
const started: ChildProcess[] = [];
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'waveloom-processes-'));
});
afterAll(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

test('a part ends when the process that started it is killed with -9', async () => {
  const owner = await owning({ command: 'sleep', args: ['1000'] });
  expect(commandOf(owner.part)).toContain('sleep');
  owner.process.kill('SIGKILL');
  await untilGone(owner.part);
});

test('a part that ignores its signal ends too, and so do the processes that it started', async () => {
  const stubborn = `trap "" TERM; sleep 1000 & echo $!; wait; wait`;
  const owner = await owning({ command: 'sh', args: ['-c', stubborn], patienceMs: 100 });
  owner.process.kill('SIGKILL');
  await untilGone(owner.part);
  await untilGone(Number(owner.lines[0]));
});

test('a script that dev/run.mjs runs ends when dev/run.mjs is killed with -9', async () => {
  const script = join(directory, 'waits.ts');
  writeFileSync(script, 'console.log(process.pid); setInterval(() => {}, 1_000);');
  const runner = start(['dev/run.mjs', join('..', ...Array(20).fill('..'), script)]);
  const pid = Number(await firstLine(runner));
  expect(commandOf(pid)).toContain('waits.ts');
  runner.kill('SIGKILL');
  await untilGone(pid);
});

test('dev/run.mjs ends with the exit code of its script', async () => {
  const script = join(directory, 'exits.ts');
  writeFileSync(script, 'process.exit(Number(process.argv[2]));');
  const runner = start(['dev/run.mjs', join('..', ...Array(20).fill('..'), script), '42']);
  expect(await once(runner, 'exit')).toEqual([42, null]);
});

test('a part that fails to start says why, with its last lines', async () => {
  const failing = startPart({
    name: 'thing',
    command: 'sh',
    args: ['-c', 'echo the disk is full >&2; exit 3'],
    env: path,
    isReady: async () => false,
  });
  await expect(failing).rejects.toThrow(PartFailed);
  await expect(failing).rejects.toThrow(/exit code 3.*\n.*the disk is full/);
  await expect(runTask({ name: 'tool', command: '/no/such/tool', args: [], env: {} })).rejects.toThrow(
    /ENOENT/,
  );
});

test('a part that crashes is started again, but not after it was told to stop', async () => {
  const said: string[] = [];
  const supervisor = supervise((line) => said.push(line));
  const pids: number[] = [];
  await supervisor.keep('part', async () => {
    const part = await startPart({ name: 'part', command: 'sleep', args: ['1000'], env: path });
    pids.push(part.pid);
    return { part };
  });
  process.kill(pids[0] ?? 0, 'SIGKILL');
  while (pids.length < 2) await sleep(20);
  await supervisor.stop();
  await untilGone(pids[1] ?? 0);
  expect(pids).toHaveLength(2);
  expect(said[0]).toContain('part has ended (ended by SIGKILL)');
});

test('one stack a data directory; a killed one does not block the next', async () => {
  const dataDir = join(directory, 'stack');
  const holder = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1_000)', 'dev/start.ts']);
  started.push(holder);
  await once(holder, 'spawn');
  const first = await openDataDirectory(dataDir);
  first.release();

  writeFileSync(join(dataDir, 'stack.lock'), String(holder.pid));
  await expect(openDataDirectory(dataDir)).rejects.toThrow('already running');
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  (await openDataDirectory(dataDir)).release();
});

test('secrets are created once, and only their owner can read them', async () => {
  const dataDir = join(directory, 'secrets');
  const first = await openDataDirectory(dataDir);
  first.release();
  const second = await openDataDirectory(dataDir);
  second.release();
  expect(second.secrets).toEqual(first.secrets);
  expect(second.ports).toEqual(first.ports);
  expect(statSync(join(dataDir, 'secrets.json')).mode & 0o077).toBe(0);
  const secrets = Object.values(first.secrets);
  expect(new Set(secrets).size).toBe(secrets.length);

  writeFileSync(join(dataDir, 'secrets.json'), '{"half":');
  await expect(openDataDirectory(dataDir)).rejects.toThrow('damaged');
  expect(readFileSync(join(dataDir, 'secrets.json'), 'utf8')).toBe('{"half":');
});

test('a data directory that cannot be written is reported in one line', async () => {
  const file = join(directory, 'file');
  writeFileSync(file, '');
  await expect(openDataDirectory(join(file, 'data'))).rejects.toThrow(
    'cannot be written: a part of its path is a file',
  );
  if (process.platform === 'linux') {
    await expect(openDataDirectory('/proc/waveloom/data')).rejects.toThrow('cannot be written');
  }
});

/** A separate process that starts one part and prints its pid. */
async function owning(part: { command: string; args: string[]; patienceMs?: number }) {
  const script = `
    import { startPart } from './dev/part.ts';
    let told = () => {};
    const line = new Promise((resolve) => { told = resolve; });
    const part = await startPart({ name: 'part', ...${JSON.stringify({ ...part, env: path })}, onLine: told });
    const lines = ${JSON.stringify(part.command)} === 'sh' ? [await line] : [];
    console.log(JSON.stringify({ part: part.pid, lines }));
  `;
  const owner = start(['--input-type=module', '--eval', script]);
  const told: { part: number; lines: string[] } = JSON.parse(await firstLine(owner));
  return { process: owner, ...told };
}

function start(args: string[]): ChildProcess {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  started.push(child);
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('no output');
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return String(line);
}

/** Ended, or only waiting for its parent to read its status. */
async function untilGone(pid: number): Promise<void> {
  while (commandOf(pid) !== undefined) await sleep(20);
}
