import { styleText } from 'node:util';
import { formatCredits } from '../../catalog/credits.ts';
import { groupThousands } from '../../catalog/group-thousands.ts';

// styleText writes colours only if the output is a terminal that supports them.
const bold = (text: string) => styleText('bold', text);
const dim = (text: string) => styleText('dim', text);
const green = (text: string) => styleText('green', text);
const red = (text: string) => styleText('red', text);

const columnWidth = 14;
process.stdout.on('error', () => {}); // the reader may have ended: `npm run demo | head`
let steps = 0;
let waiting = false;

/** The demo's output on the terminal. */
export const screen = {
  say: (text = '') => line(text),

  step(title: string): void {
    steps += 1;
    line(`\n${bold(`${String(steps).padStart(2)}  ${title}`)}`);
  },

  /** The request and its answer, below a step's title. */
  detail: (text: string) => line(`    ${dim(text)}`),

  /** Rows of text; each column is as wide as its widest cell. `>` before a cell aligns it to the right. */
  rows(rows: readonly (readonly string[])[]): void {
    const widths: number[] = [];
    for (const row of rows)
      for (const [index, cell] of row.entries())
        widths[index] = Math.max(widths[index] ?? 0, cell.replace(/^>/, '').length);
    for (const row of rows) {
      const cells = row.map((cell, index) =>
        cell.startsWith('>') ? cell.slice(1).padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
      );
      line(`    ${cells.join('  ').trimEnd()}`);
    }
  },

  /** A balance by source before and after, in micro-credits, column by column. */
  balances(
    before: Readonly<Record<string, bigint>>,
    after: Readonly<Record<string, bigint>>,
    seconds: number,
  ): void {
    const names = Object.keys(after);
    const row = (label: string, cells: readonly string[]) =>
      `    ${label.padEnd(8)}${cells.map((cell) => cell.padStart(columnWidth)).join('')}`;
    const amounts = (of: Readonly<Record<string, bigint>>) => names.map((name) => grouped(of[name] ?? 0n));
    line(dim(row('', names)));
    line(dim(row('before', amounts(before))));
    line(
      `${row('after', amounts(after))}  ${green('✓')}${seconds < 0.1 ? '' : dim(` after ${seconds.toFixed(1)} s`)}`,
    );
  },

  ok: (text: string) => line(`    ${green('✓')} ${text}`),

  done: (text: string) => line(`\n${green('✓')} ${bold(text)}`),

  failed(text: string): void {
    screen.waitIsOver();
    process.stderr.write(`${red('✗')} ${text}\n`);
  },

  /** Shown only if it takes long: on a terminal a temporary line, elsewhere a permanent one. */
  waitsFor(what: string, milliseconds: number): void {
    if (waiting || milliseconds < (process.stdout.isTTY ? 300 : 2_000)) return;
    waiting = true;
    const text = dim(`    … waits for: ${what.charAt(0).toLowerCase()}${what.slice(1)}`);
    process.stdout.write(process.stdout.isTTY ? text : `${text}\n`);
  },

  waitIsOver(): void {
    if (waiting && process.stdout.isTTY) process.stdout.write('\r\x1b[K');
    waiting = false;
  },
};

/** Credits with group separators: `1,234.5`. */
export function grouped(micro: bigint): string {
  return groupThousands(formatCredits(micro));
}

function line(text: string): void {
  process.stdout.write(`${text}\n`);
}
