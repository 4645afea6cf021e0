import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { logCopy } from '../setup/log-copy.ts';
import type { DocumentedSection } from './read-requests.ts';

const root = join(import.meta.dirname, '../..');

/** Status and body of an HTTP answer. The body is empty for 204. */
export interface HttpAnswer {
  status: number;
  body: string;
}

/** The client's blocks of a document as one program, which runs one request at a time. */
export interface ClientProgram {
  /** Runs the next request's block. @returns the last answer that the block got */
  next(): Promise<HttpAnswer>;
  stop(): Promise<void>;
}

/** Reports the last answer at the end of each block, and waits until the next block may run. */
const prelude = `
const sendRequest = globalThis.fetch;
let lastAnswer: { status: number; body: string } | undefined;
globalThis.fetch = async (...request) => {
  const answer = await sendRequest(...request);
  lastAnswer = { status: answer.status, body: await answer.clone().text() };
  return answer;
};
function nextTurn(): Promise<unknown> {
  return new Promise((resolve) => {
    process.once('message', resolve);
    process.send?.(lastAnswer ?? null);
    lastAnswer = undefined;
  });
}
`;

/** Writes the program into a folder, together with the settings of its type check. */
export async function writeClientProgram(sections: DocumentedSection[], folder: string): Promise<string> {
  const blocks = sections.flatMap(({ client, requests }) => [
    client,
    ...requests.map((request) => `// ${request.title}\nawait nextTurn();\n${request.client}`),
  ]);
  const program = [prelude, ...blocks, 'await nextTurn();\n'].join('\n');
  const file = join(folder, 'program.ts');
  await writeFile(file, program.replaceAll('@waveloom/billing-client', join(root, 'client/index.ts')));
  const compilerOptions = { typeRoots: [join(root, 'node_modules/@types')], noUnusedLocals: false };
  const settings = { extends: join(root, 'tsconfig.json'), compilerOptions, include: [], files: [file] };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(settings));
  return file;
}

/** @throws Error with the compiler's messages if the program has a wrong type */
export async function checkTypes(folder: string): Promise<void> {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const checked = promisify(execFile)(process.execPath, [tsc, '-p', folder]);
  await checked.catch((error: { stdout?: string }) => {
    throw new Error(`the client's blocks have wrong types:\n${error.stdout ?? String(error)}`);
  });
}

/** Starts the program up to its first request. */
export async function startClientProgram(
  file: string,
  variables: Record<string, string>,
): Promise<ClientProgram> {
  const program = spawn(process.execPath, [file], {
    env: { ...variables, ...logCopy },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errors = '';
  program.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = new Promise<void>((resolve) => program.once('close', () => resolve()));
  const turn = () => nextMessage(program).catch(() => fail());
  const fail = async (): Promise<never> => {
    await ended;
    throw new Error(`the program of the client's blocks has ended:\n${errors}`);
  };
  await turn();
  return {
    async next() {
      const answered = turn();
      program.send('next', () => {}); // if it has ended, `answered` says why
      return answered;
    },
    async stop() {
      program.kill();
      await ended;
    },
  };
}

function nextMessage(program: ChildProcess): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    program.once('message', (message) => {
      program.off('close', reject);
      resolve(message as HttpAnswer);
    });
    program.once('close', reject);
  });
}
