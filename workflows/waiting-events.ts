import type { InboxEventMessage } from './messages.ts';

/** The waiting events of a team's workflow, and which of them comes next. */
export interface WaitingEvents {
  /** Adds an event, unless it already waits. Beyond 10,000 it is dropped: the relay signals it again. */
  add(event: InboxEventMessage): void;
  remove(inboxId: string): void;
  size(): number;
  all(): InboxEventMessage[];
  /** The most urgent event, of those that `isFree`; undefined if none waits. */
  next(isFree: (inboxId: string) => boolean): InboxEventMessage | undefined;
  /**
   * Ids of up to 400 events, some of which a newer state may supersede; empty if no two are states of one kind, or if
   * no event arrived since the last call.
   */
  takeStates(isFree: (inboxId: string) => boolean): string[];
}

const mostWaiting = 10_000;
const mostStates = 400;

export function createWaitingEvents(events: readonly InboxEventMessage[] = []): WaitingEvents {
  const waiting = new Map<string, InboxEventMessage>();
  /** States that were not compared yet. */
  const fresh = new Set<string>();
  for (const event of events) add(event);

  return {
    add,
    remove(inboxId) {
      waiting.delete(inboxId);
      fresh.delete(inboxId);
    },
    size: () => waiting.size,
    all: () => [...waiting.values()],
    next: (isFree) => mostUrgent(waiting.values(), isFree),
    takeStates(isFree) {
      if (fresh.size === 0) return [];
      const free = [...waiting.values()].filter(({ inboxId }) => isFree(inboxId));
      const groups = [...Map.groupBy(free, kindOfState)].flatMap(([kind, group]) => (kind ? [group] : []));
      const isFresh = ({ inboxId }: InboxEventMessage) => fresh.has(inboxId);
      const states = groups.filter((group) => group.length > 1 && group.some(isFresh)).flat();
      const compared = states.filter((event) => !isFresh(event)).slice(-mostStates / 2);
      const taken = [...compared, ...states.filter(isFresh)].slice(0, mostStates);
      for (const { inboxId } of taken) fresh.delete(inboxId);
      for (const [only] of groups.filter(({ length }) => length === 1)) if (only) fresh.delete(only.inboxId);
      if (taken.length === 0) return [];
      const deletions = free.filter(({ type }) => type === 'team.deleted');
      return [...taken, ...deletions].map(({ inboxId }) => inboxId);
    },
  };

  function add(event: InboxEventMessage): void {
    if (waiting.size >= mostWaiting && !waiting.has(event.inboxId)) return;
    waiting.set(event.inboxId, event);
    if (kindOfState(event) !== null) fresh.add(event.inboxId);
  }
}

/**
 * Payments come before everything else, but nothing moves past `team.deleted` in either direction. Other events are in
 * the order of their ids, which is the order of arrival. One pass, because thousands may wait.
 */
export function mostUrgent(
  events: Iterable<InboxEventMessage>,
  isFree: (inboxId: string) => boolean = () => true,
): InboxEventMessage | undefined {
  let payment: InboxEventMessage | undefined;
  let deletion: InboxEventMessage | undefined;
  let other: InboxEventMessage | undefined;
  for (const event of events) {
    if (!isFree(event.inboxId)) continue;
    if (event.type === 'order.paid') payment = earlier(payment, event);
    else if (event.type === 'team.deleted') deletion = earlier(deletion, event);
    else other = earlier(other, event);
  }
  const until = deletion?.inboxId;
  const isBefore = (event: InboxEventMessage | undefined) =>
    event !== undefined && (until === undefined || event.inboxId < until);
  if (isBefore(payment)) return payment;
  return isBefore(other) ? other : deletion;
}

function earlier(a: InboxEventMessage | undefined, b: InboxEventMessage): InboxEventMessage {
  return a !== undefined && a.inboxId < b.inboxId ? a : b;
}

/** The kind of complete state that an event contains; null if it contains none. */
function kindOfState({ type }: InboxEventMessage): 'subscription' | 'order' | 'members' | null {
  if (type.startsWith('subscription.')) return 'subscription';
  if (type === 'order.updated' || type === 'order.refunded') return 'order';
  if (type.startsWith('member.') || type === 'members.changed') return 'members';
  return null;
}
