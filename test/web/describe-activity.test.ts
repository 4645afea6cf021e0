import { expect, test } from '@jest/globals';
import { type Activity, actText, withoutAnsweredRequests } from '../../web/billing/describe-activity.ts';
import { createTranslate } from '../../web/i18n/text.ts';

const act = (action: string): Activity => ({
  at: '2026-03-01T00:00:00.000Z',
  kind: 'act',
  action,
  actor: 'person:ada',
  subject: null,
  reason: null,
});
const listed = (...actions: string[]) =>
  withoutAnsweredRequests(actions.map(act)).map((entry) => entry.kind === 'act' && entry.action);

test('a request is not listed beside its outcome, and is listed while its outcome is unknown', () => {
  expect(listed('subscription.canceled', 'subscription.canceled.requested')).toEqual([
    'subscription.canceled',
  ]);
  expect(listed('subscription.changed.refused', 'subscription.changed.requested')).toEqual([
    'subscription.changed.refused',
  ]);
  expect(listed('subscription.canceled.requested', 'subscription.canceled')).toEqual([
    'subscription.canceled.requested',
    'subscription.canceled',
  ]);
  expect(
    listed('subscription.changed', 'subscription.changed.requested', 'subscription.changed.requested'),
  ).toEqual(['subscription.changed', 'subscription.changed.requested']);
});

test('an act without a text shows its name', () => {
  const t = createTranslate('en', 'en');
  expect(actText('limit.set', t)).toBe('Limit set');
  expect(actText('webhook_endpoint.created', t)).toBe('webhook_endpoint.created');
});
