import { DomainError } from '../../domain-error.ts';

const dayMs = 86_400_000;
/** A year in any zone, and a month to compare with. */
const longestDays = 400;

/**
 * Checks the time range `[from, to)` of a report.
 * @throws DomainError `empty_range`, `range_too_long`
 */
export function checkReportRange(from: Date, to: Date): void {
  if (from >= to) {
    throw new DomainError('empty_range', 'from must lie before to (without to: before the end of today)');
  }
  if (to.getTime() - from.getTime() > longestDays * dayMs) {
    throw new DomainError(
      'range_too_long',
      `A report may cover at most ${longestDays} days: choose a shorter range`,
      { longestDays },
    );
  }
}
