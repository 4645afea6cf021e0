/**
 * The workflows that run by themselves, as schedules of Temporal. The names are part of running histories and of what
 * operators have bookmarked: a name here is never changed.
 */
export const maintenanceType = 'maintenance';
export const verifyLedgerType = 'verifyLedger';
export const reconcileType = 'reconcile';

/** Ids of the schedules; each run's workflow id is this and the time of the run. */
export const maintenanceScheduleId = 'maintenance';
export const verifyLedgerScheduleId = 'verify-ledger';
export const reconcileScheduleId = 'reconcile';
export const reconcileEverythingScheduleId = 'reconcile-everything';
