import { dataOf, readSubscription } from '../polar/events.ts';
import { assignedSubscription, checkTeam } from '../polar/resolve-team.ts';
import { type EventStep, needsPolar } from './event-step.ts';
import {
  endForDeletedTeam,
  fetchState,
  followState,
  isTied,
  outlivesTeam,
  type SubscriptionState,
} from './subscription-event.ts';

/**
 * A subscription began, renewed, changed, is past due, was canceled or ended: its cycles, expiries and status follow.
 * This grants nothing: only paid orders do.
 */
export const followSubscription: EventStep<SubscriptionState> = {
  async read(em, event, fetching) {
    const subscription = assignedSubscription(readSubscription(dataOf(event.payload)), event);
    const outlives = await outlivesTeam(em, event, subscription);
    // An end expires credits at once, and Polar can reinstate. So the current state is fetched first.
    const ambiguous = subscription.endedAt !== null || outlives || (await isTied(em, subscription));
    if (!ambiguous) return { ...subscription, fetched: false };
    if (!fetching) return needsPolar;
    if (outlives) await endForDeletedTeam(fetching, event, subscription);
    return assignedSubscription(await fetchState(fetching.polar, subscription.id), event);
  },
  async carryOut(em, team, subscription, now) {
    await checkTeam(em, team, subscription.teamRef, subscription.id);
    return followState(em, team, subscription, now);
  },
};
