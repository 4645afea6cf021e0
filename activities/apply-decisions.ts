import type { InboxEvent } from '../database/entities/inbox-event.ts';
import type { Team } from '../database/entities/team.ts';
import type { PolarProductRef, PolarSubscription, PolarTeamRef } from '../polar/events.ts';
import type { Heard } from './hear-event.ts';

/**
 * What an operator assigned to an event takes the place of what Polar says: the team, whoever is named, and the catalog key
 * of the event's product. Only this event is affected.
 */
export function applyDecisions(
  heard: Heard,
  { decisions, assignedProduct }: Pick<InboxEvent, 'decisions' | 'assignedProduct'>,
  team: Team,
): Heard {
  const teamAssigned = decisions.some(({ teamId }) => teamId === team.id);
  if (!teamAssigned && assignedProduct === null) return heard;
  const teamRef = (ref: PolarTeamRef): PolarTeamRef =>
    teamAssigned ? { metadataTeamId: team.id, customerExternalId: null, customerId: null } : ref;
  const product: Partial<PolarProductRef> =
    assignedProduct === null ? {} : { productId: null, productCatalogKey: assignedProduct };
  const assign = <S extends PolarSubscription>(subscription: S): S => ({
    ...subscription,
    teamRef: teamRef(subscription.teamRef),
    ...product,
  });
  switch (heard.kind) {
    case 'subscription':
      return { ...heard, subscription: assign(heard.subscription) };
    case 'order':
      return {
        ...heard,
        order: {
          ...heard.order,
          ...product,
          teamRef: teamRef(heard.order.teamRef),
          subscription: heard.order.subscription && assign(heard.order.subscription),
        },
        earlier: heard.earlier.map(({ order, saidAt }) => ({
          saidAt,
          order: { ...order, teamRef: teamRef(order.teamRef) },
        })),
        subscription: heard.subscription && assign(heard.subscription),
      };
    default:
      return heard;
  }
}
