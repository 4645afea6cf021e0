import type { Run } from './interleave.ts';
import type { Stack } from './stack.ts';

/** One measure beside its baseline, in the same run. */
export interface Measure {
  /** For `--only`. */
  name: string;
  run(stack: Stack): Promise<Finding[]>;
}

export interface Finding {
  name: string;
  /** What is compared, in one line. */
  compares: string;
  /**
   * `/s`: more is better, the value is operations per second. `ms`: less is better, the value is the p50. `MB`: less is better,
   * the value is the memory.
   */
  unit: '/s' | 'ms' | 'MB';
  ours: Run;
  baseline: Run;
  /** Ours divided by the baseline, or our p50 in milliseconds, or our memory in megabytes. */
  goal: { atLeast: number } | { atMost: number } | { atMostMs: number } | { atMostMegabytes: number };
  /** Further observations: the pool sizes that were tried, parts of the time. */
  notes?: string[];
}

export function valueIn({ unit }: Finding, run: Run): number {
  if (unit === 'MB') return run.megabytes ?? Number.NaN;
  return unit === '/s' ? run.perSecond : run.p50;
}

export function ratioOf(finding: Finding): number {
  return valueIn(finding, finding.ours) / valueIn(finding, finding.baseline);
}

export function isMet(finding: Finding): boolean {
  const { goal } = finding;
  if ('atMostMs' in goal) return finding.ours.p50 <= goal.atMostMs;
  if ('atMostMegabytes' in goal) return valueIn(finding, finding.ours) <= goal.atMostMegabytes;
  const ratio = ratioOf(finding);
  return 'atLeast' in goal ? ratio >= goal.atLeast : ratio <= goal.atMost;
}
