import type { Check } from './check.ts';
import { checkAdjustments } from './check-adjustments.ts';
import { checkAlerts } from './check-alerts.ts';
import { checkBalanceDays } from './check-balance-days.ts';
import { checkBusinessKeys } from './check-business-keys.ts';
import { checkDebts } from './check-debts.ts';
import { checkEntitlement } from './check-entitlement.ts';
import { checkExpiries } from './check-expiries.ts';
import { checkGrants } from './check-grants.ts';
import { checkHolds, checkOpenHolds } from './check-holds.ts';
import { checkKeys } from './check-keys.ts';
import { checkLimits } from './check-limits.ts';
import { checkMonths } from './check-months.ts';
import { checkReceipts } from './check-receipts.ts';
import { checkTrials } from './check-trials.ts';
import { checkUsage } from './check-usage.ts';
import { checkUsageDays } from './check-usage-days.ts';

/** Every rule of the ledger that can be checked from stored data. */
export const checks: readonly Check[] = [
  checkGrants,
  checkMonths,
  checkBalanceDays,
  checkUsage,
  checkUsageDays,
  checkReceipts,
  checkKeys,
  checkDebts,
  checkEntitlement,
  checkExpiries,
  checkBusinessKeys,
  checkTrials,
  checkOpenHolds,
  checkLimits,
  checkAdjustments,
  checkAlerts,
  checkHolds,
];
