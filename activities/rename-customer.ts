import { syncCustomerName } from '../polar/sync-customer-name.ts';
import { type EventStep, needsPolar, teamOf } from './step.ts';

/** The team was renamed: its customer at Polar gets the new name. */
export const renameCustomer: EventStep<string> = {
  async read(em, event, fetching) {
    const { id } = await teamOf(em, event);
    return fetching ? syncCustomerName(fetching.polar, fetching.database, id) : needsPolar;
  },
  carryOut: async (_em, _team, outcome) => outcome,
};
