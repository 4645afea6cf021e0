import { expect, test } from '@jest/globals';
import { usedEvents } from '../../polar/events.ts';
import type { InboxEventMessage } from '../../workflows/messages.ts';
import { stepOf } from '../../workflows/steps.ts';
import { createWaitingEvents, mostUrgent } from '../../workflows/waiting-events.ts';

const event = (id: number, type: string): InboxEventMessage => ({
  inboxId: String(id).padStart(4, '0'),
  type,
});
const always = () => true;

/** The types in the order in which their steps are taken. */
function order(...types: string[]): string[] {
  let left = types.map((type, id) => event(id, type));
  const taken: string[] = [];
  for (let next = mostUrgent(left); next; next = mostUrgent(left)) {
    const { inboxId } = next;
    taken.push(`${next.type} ${Number(inboxId)}`);
    left = left.filter((other) => other.inboxId !== inboxId);
  }
  return taken;
}

test('every event of Polar that billing uses causes a step of its own', () => {
  const types = [...Object.values(usedEvents).flat(), 'dispute.updated'];
  expect(types.filter((type) => stepOf({ type }) === 'recordEvents')).toEqual([]);
  expect(stepOf({ type: 'team.created' })).toBe('recordEvents');
});

test('a paid order is a purchase, a cycle or a change of plan', () => {
  expect(stepOf({ type: 'order.paid', pays: 'purchase' })).toBe('fulfillPurchase');
  expect(stepOf({ type: 'order.paid', pays: 'cycle' })).toBe('startCycle');
  expect(stepOf({ type: 'order.paid', pays: 'change' })).toBe('changePlan');
});

test('payments overtake everything else', () => {
  expect(order('subscription.updated', 'order.updated', 'order.paid', 'order.paid')).toEqual([
    'order.paid 2',
    'order.paid 3',
    'subscription.updated 0',
    'order.updated 1',
  ]);
});

test('nothing overtakes the deletion of a team, and it overtakes nothing', () => {
  expect(
    order('subscription.updated', 'order.paid', 'team.deleted', 'subscription.updated', 'order.paid'),
  ).toEqual([
    'order.paid 1',
    'subscription.updated 0',
    'team.deleted 2',
    'order.paid 4',
    'subscription.updated 3',
  ]);
});

test('states are compared when two of one object wait, and again only after another one arrives', () => {
  const waiting = createWaitingEvents();
  waiting.add(event(1, 'subscription.created'));
  waiting.add(event(2, 'order.paid'));
  expect(waiting.takeStates(always)).toEqual([]);
  waiting.add(event(3, 'subscription.updated'));
  expect(waiting.takeStates(always)).toEqual(['0001', '0003']);
  expect(waiting.takeStates(always)).toEqual([]);
  waiting.remove('0001');
  waiting.add(event(4, 'subscription.updated'));
  expect(waiting.takeStates((id) => id !== '0004')).toEqual([]);
  expect(waiting.takeStates(always)).toEqual(['0003', '0004']);
});

test('a burst is compared in parts, each part together with the newest states of earlier parts', () => {
  const waiting = createWaitingEvents();
  for (let id = 0; id < 1_000; id += 1) waiting.add(event(id, 'subscription.updated'));
  let parts = 0;
  for (let ids = waiting.takeStates(always); ids.length > 0; ids = waiting.takeStates(always)) {
    parts += 1;
    expect(ids.length).toBeLessThanOrEqual(400);
    for (const id of ids.slice(0, -1)) waiting.remove(id);
  }
  expect(parts).toBe(3);
  expect(waiting.size()).toBe(1);
});
