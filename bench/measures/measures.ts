import type { Measure } from '../measure.ts';
import { balanceHistoryMeasure } from './balance-history.ts';
import { csvMeasure } from './csv.ts';
import { inProcessMeasures } from './in-process.ts';
import { largeTeamMeasure } from './large-team.ts';
import { neighbourMeasure } from './neighbour.ts';
import { overHttpMeasures } from './over-http.ts';
import { pageMeasure } from './page.ts';
import { reportYearMeasure } from './report-year.ts';
import { throughTemporalMeasures } from './through-temporal.ts';
import { historyMeasure } from './with-history.ts';

/** All measures, in the order in which they run. */
export const measures: readonly Measure[] = [
  ...throughTemporalMeasures,
  ...inProcessMeasures,
  ...overHttpMeasures,
  largeTeamMeasure,
  neighbourMeasure,
  reportYearMeasure,
  balanceHistoryMeasure,
  csvMeasure,
  pageMeasure,
  historyMeasure,
];
