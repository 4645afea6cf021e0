import { expect, test } from '@jest/globals';
import { BillingProblem, BillingUnavailable } from '../../client/index.ts';
import { createTranslate } from '../../web/i18n/text.ts';
import { explainFailure } from '../../web/ui/explain-failure.ts';

const t = createTranslate('en', 'en-US');
const problem = (code: BillingProblem['code'], status: number, retriable: boolean, more = {}) =>
  new BillingProblem({
    type: 'about:blank',
    title: code,
    status,
    detail: 'In detail.',
    code,
    retriable,
    ...more,
  });

test('only a request without an answer says that the billing service did not answer', () => {
  const unavailable = new BillingUnavailable('connection lost', null);
  expect(explainFailure(unavailable, t, true)).toBe(t('state.unreachable'));
  expect(explainFailure(unavailable, t, false)).toBe(t('state.offline'));
  for (const fault of [new TypeError('undefined is not iterable'), new RangeError('bad date'), 'thrown text'])
    expect(explainFailure(fault, t, true)).toBe(t('state.pageFault'));
});

test('a refusal names the roles that may, and a busy service is not a fault of the page', () => {
  expect(
    explainFailure(problem('forbidden', 403, false, { allowedRoles: ['owner', 'admin'] }), t, true),
  ).toBe('Your role may not do this. These may: Owner, Admin.');
  expect(explainFailure(problem('overloaded', 503, true), t, true)).toBe(t('state.busy'));
  expect(explainFailure(problem('unknown_invitation', 404, false), t, true)).toBe(
    t('state.unknownInvitation'),
  );
  expect(explainFailure(problem('unknown_user', 404, false), t, true)).toBe('In detail.');
});
