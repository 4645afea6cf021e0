/**
 * The workflows that Temporal schedules start. Running histories and operators' bookmarks contain these names, so a
 * name here never changes.
 */
export const maintenanceType = 'maintenance';
export const verifyLedgerType = 'verifyLedger';
export const reconcileType = 'reconcile';

/** Ids of the schedules; each run's workflow id is this and the time of the run. */
export const maintenanceScheduleId = 'maintenance';
export const verifyLedgerScheduleId = 'verify-ledger';
export const reconcileScheduleId = 'reconcile';
export const reconcileEverythingScheduleId = 'reconcile-everything';
