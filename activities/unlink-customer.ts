import { unlinkCustomer as unlinkTeamOf } from '../polar/ensure-customer.ts';
import { dataOf, readCustomer } from '../polar/events.ts';
import type { EventStep } from './step.ts';

/** Polar deleted the team's customer. The next checkout creates a new one. */
export const unlinkCustomer: EventStep<{ id: string }> = {
  read: async (_em, event) => readCustomer(dataOf(event.payload)),
  async carryOut(em, _team, { id }) {
    await unlinkTeamOf(em, id);
    return 'Polar deleted the team’s customer: the next checkout creates a new one';
  },
};
