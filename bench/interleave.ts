/** The result of one run of callers, or of one series of single operations. */
export interface Run {
  /** Operations per second of wall time, of all callers together. */
  perSecond: number;
  /** Milliseconds from an operation's start to its answer. */
  p50: number;
  p99: number;
  /** Of a measure of memory. */
  megabytes?: number;
}

/**
 * Runs `callers` concurrent callers for `seconds`; each sends its next call after the previous answer. Waits for the
 * last answers: only answered calls count, and the time includes the slowest.
 */
export async function runCallers(
  callers: number,
  seconds: number,
  call: (caller: number) => Promise<unknown>,
): Promise<Run> {
  const latencies: number[] = [];
  const started = performance.now();
  const until = started + seconds * 1_000;
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      for (let sent = performance.now(); sent < until; ) {
        await call(caller);
        const answered = performance.now();
        latencies.push(answered - sent);
        sent = answered;
      }
    }),
  );
  return toRun(latencies, performance.now() - started);
}

/** @param elapsed  milliseconds */
export function toRun(latencies: readonly number[], elapsed: number): Run {
  const sorted = Float64Array.from(latencies).sort();
  return {
    perSecond: (sorted.length / elapsed) * 1_000,
    p50: percentile(sorted, 50),
    p99: percentile(sorted, 99),
  };
}

/**
 * Runs ours and the baseline alternately, A B A B …, so that a machine that becomes slower affects both.
 * @returns the median of each figure over the rounds
 */
export async function interleave(
  rounds: number,
  { ours, baseline }: { ours: () => Promise<Run>; baseline: () => Promise<Run> },
): Promise<{ ours: Run; baseline: Run }> {
  const runs: { ours: Run; baseline: Run }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    runs.push({ baseline: await baseline(), ours: await ours() });
  }
  return {
    ours: medianRun(runs.map((round) => round.ours)),
    baseline: medianRun(runs.map((round) => round.baseline)),
  };
}

/** Single operations alternately, our own and the baseline’s. Each returns the milliseconds that it took. */
export async function alternate(
  times: number,
  { ours, baseline }: { ours: () => Promise<number>; baseline: () => Promise<number> },
): Promise<{ ours: Run; baseline: Run }> {
  const taken: { ours: number[]; baseline: number[] } = { ours: [], baseline: [] };
  for (let turn = 0; turn < times; turn += 1) {
    taken.baseline.push(await baseline());
    taken.ours.push(await ours());
  }
  return { ours: toRun(taken.ours, sum(taken.ours)), baseline: toRun(taken.baseline, sum(taken.baseline)) };
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** The nearest-rank percentile of values in ascending order; NaN if there are none. */
export function percentile(sorted: ArrayLike<number>, percent: number): number {
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

function medianRun(runs: readonly Run[]): Run {
  return {
    perSecond: median(runs.map(({ perSecond }) => perSecond)),
    p50: median(runs.map(({ p50 }) => p50)),
    p99: median(runs.map(({ p99 }) => p99)),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
