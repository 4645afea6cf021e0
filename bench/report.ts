import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { median } from './interleave.ts';
import { type Finding, isMet, ratioOf, valueIn } from './measure.ts';

export interface Machine {
  cpus: number;
  model: string;
  memoryGigabytes: number;
  system: string;
  node: string;
  postgres: string;
  /** Milliseconds to sync 8 kB to this disk: the minimum time of a commit. */
  syncMs: number;
  /** The load when the bench began, including other processes. */
  loadBefore: number;
}

export function describeMachine(directory: string, postgres: string): Machine {
  const cores = cpus();
  return {
    cpus: cores.length,
    model: cores[0]?.model.trim() ?? 'unknown',
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    postgres,
    syncMs: round(measureSync(directory)),
    loadBefore: round(loadavg()[0] ?? 0),
  };
}

/** The output of `--json`. `met` is null in a run that is not compared with the goals. */
export function toJson(machine: Machine, findings: readonly Finding[], judged: boolean): object {
  return {
    machine,
    measures: findings.map((finding) => ({
      name: finding.name,
      value: round(valueIn(finding, finding.ours)),
      unit: finding.unit,
      baseline: round(valueIn(finding, finding.baseline)),
      ratio: round(ratioOf(finding)),
      goal: goalOf(finding),
      met: judged ? isMet(finding) : null,
      compares: finding.compares,
      p50: round(finding.ours.p50),
      p99: round(finding.ours.p99),
      baselineP50: round(finding.baseline.p50),
      baselineP99: round(finding.baseline.p99),
      notes: finding.notes ?? [],
    })),
  };
}

/** One measure, as it is shown when it is complete. */
export function toLine(finding: Finding, judged: boolean): string {
  const [name, ours, baseline, ratio, goal, verdict] = cellsOf(finding, judged);
  return `${name}: ${ours}, baseline ${baseline}, ${ratio}, goal ${goal}, ${verdict}`;
}

export function toTable(findings: readonly Finding[], judged: boolean): string {
  const rows = findings.map((finding) => cellsOf(finding, judged));
  const heads = ['measure', 'ours', 'baseline', 'ratio', 'goal', '', 'p50 / p99 ms', 'baseline’s'];
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  const legend = findings.map(({ name, compares, notes = [] }) =>
    [`${name}: ${compares}`, ...notes.map((note) => `    ${note}`)].join('\n'),
  );
  return [line(heads), ...rows.map(line), '', 'Ours; the baseline:', ...legend].join('\n');
}

function cellsOf(finding: Finding, judged: boolean): string[] {
  return [
    finding.name,
    `${show(valueIn(finding, finding.ours))} ${finding.unit}`,
    `${show(valueIn(finding, finding.baseline))} ${finding.unit}`,
    `${ratioOf(finding).toFixed(2)} ×`,
    goalOf(finding),
    judged ? (isMet(finding) ? 'met' : 'NOT MET') : 'not judged',
    `${show(finding.ours.p50)} / ${show(finding.ours.p99)}`,
    `${show(finding.baseline.p50)} / ${show(finding.baseline.p99)}`,
  ];
}

function goalOf({ goal }: Finding): string {
  if ('atMostMs' in goal) return `≤ ${goal.atMostMs.toLocaleString('en')} ms`;
  if ('atMostMegabytes' in goal) return `≤ ${goal.atMostMegabytes} MB`;
  return 'atLeast' in goal ? `≥ ${goal.atLeast}` : `≤ ${goal.atMost}`;
}

/** Three significant digits. */
function show(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

function measureSync(directory: string): number {
  const path = `${directory}/sync-probe`;
  const file = openSync(path, 'w');
  try {
    const page = Buffer.alloc(8_192, 1);
    const taken = Array.from({ length: 50 }, () => {
      const started = performance.now();
      writeSync(file, page, 0, page.length, 0);
      fdatasyncSync(file);
      return performance.now() - started;
    });
    return median(taken);
  } finally {
    closeSync(file);
    rmSync(path);
  }
}
