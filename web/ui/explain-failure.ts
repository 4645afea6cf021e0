import { BillingProblem, BillingUnavailable } from '../../client/index.ts';
import type { MessageKey, Translate } from '../i18n/text.ts';

/** True for a fault in the page's own code. Trying again does not help; a new version of the page may. */
export function isPageFault(error: unknown): boolean {
  return !(error instanceof BillingProblem || error instanceof BillingUnavailable);
}

/** A failed call, or a fault of the page, in words for the reader. A refusal says who may. */
export function explainFailure(error: unknown, t: Translate, isOnline: boolean): string {
  if (error instanceof BillingUnavailable) return t(isOnline ? 'state.unreachable' : 'state.offline');
  if (!(error instanceof BillingProblem)) return t('state.pageFault');
  const { code, problem, retriable } = error;
  if (code === 'forbidden') return explainRefusal(problem.allowedRoles, t);
  const known = explained[code];
  if (known) return t(known);
  return retriable ? t('state.busy') : problem.detail;
}

/** Problems that a reader meets. Others show their detail, which is in English. */
const explained: Partial<Record<BillingProblem['code'], PlainKey>> = {
  unauthenticated: 'state.signedOut',
  payment_failed: 'state.paymentFailed',
  payments_not_ready: 'state.paymentsNotReady',
  already_subscribed: 'state.alreadySubscribed',
  subscription_ended: 'state.subscriptionEnded',
  unknown_invitation: 'state.unknownInvitation',
  invoice_not_ready: 'state.invoiceNotReady',
};
type PlainKey = Extract<MessageKey, `state.${string}`> &
  Exclude<MessageKey, 'state.requestId' | 'state.forbiddenFor'>;

const roles = ['owner', 'admin', 'billing', 'member'] as const;

function explainRefusal(allowed: unknown, t: Translate): string {
  const named = Array.isArray(allowed) ? roles.filter((role) => allowed.includes(role)) : [];
  if (named.length === 0) return t('state.forbidden');
  return t('state.forbiddenFor', { roles: named.map((role) => t(`role.${role}`)).join(', ') });
}
