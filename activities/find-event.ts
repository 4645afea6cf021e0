import type { OperatorStep } from './operator-step.ts';

/** An operator requests a retry: the event goes into the team's queue. The row itself is not changed. */
export const findEvent: OperatorStep = async () => {};
