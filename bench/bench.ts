import { accessSync, constants, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { leash } from '../dev/part.ts';
import { showProgress } from '../dev/progress.ts';
import type { Finding } from './measure.ts';
import { measures } from './measures/measures.ts';
import { describeMachine, toJson, toLine, toTable } from './report.ts';
import { openStack } from './stack.ts';

/** `npm run bench`: every measure beside its baseline, on a temporary stack. See README.md. */
const names = measures.map(({ name }) => name);
const options = readOptions();
const progress = showProgress(process.stderr);
const stack = await openStack({ quick: options.quick, progress });
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);
leash().onBroken(interrupt);

const findings: Finding[] = [];
try {
  const machine = describeMachine(stack.directory, await stack.postgresVersion());
  progress.say(
    `${machine.cpus} CPUs (${machine.model}), ${machine.postgres}, ${machine.syncMs} ms to sync, load ${machine.loadBefore}`,
  );
  for (const { name, run } of measures) {
    if (!options.only.includes(name)) continue;
    const found = await run(stack);
    findings.push(...found);
    for (const finding of found) progress.say(`    ${toLine(finding, !options.quick)}`);
  }
  if (options.json !== undefined) {
    const json = toJson(machine, findings, !options.quick);
    writeFileSync(options.json, `${JSON.stringify(json, null, 2)}\n`);
  }
} catch (error) {
  if (!interrupted) {
    progress.say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    for (const line of stack.loggedErrors()) progress.say(line.slice(0, 2_000));
    process.exitCode = 1;
  }
}
if (!interrupted) showTable();
await stack.stop();
process.exit(interrupted ? 130 : process.exitCode);

function readOptions(): { quick: boolean; only: string[]; json: string | undefined } {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [names.join(',')] },
        json: { type: 'string' },
      },
    });
    const only = values.only.flatMap((list) => list.split(','));
    const unknown = only.filter((name) => !names.includes(name));
    if (unknown.length > 0) throw new Error(`There is no measure ${unknown.join(', ')}`);
    const json = values.json === undefined ? undefined : resolve(values.json);
    if (json !== undefined) accessSync(dirname(json), constants.W_OK); // now, not after ten minutes
    return { quick: values.quick, only, json };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.error(
      `Usage: npm run bench -- [--quick] [--json FILE] [--only NAME,…]\nMeasures: ${names.join(', ')}`,
    );
    process.exit(2);
  }
}

/** The table of the measures that are complete. */
function showTable(): void {
  if (findings.length > 0) console.log(`\n${toTable(findings, !options.quick)}`);
}

/** Shows the table so far and stops everything that was started. A measure in progress fails because of that. */
function interrupt(): void {
  if (interrupted) return;
  interrupted = true;
  showTable();
  for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, () => {}); // lost connections
  progress.say('Stopping');
  void stack.stop().finally(() => process.exit(130));
}
