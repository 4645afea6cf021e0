import { BillingProblem } from '../../client/index.ts';
import { useLanguage } from '../i18n/language.tsx';
import type { MessageKey, Translate } from '../i18n/text.ts';
import { Button } from './button.tsx';

/** A part of the page that could not be loaded: why, and what to do next. The rest of the page works on. */
export function Failed({ error, retry }: { error: unknown; retry(): void }) {
  const { t } = useLanguage();
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 text-sm">
      <p className="min-w-0 flex-1 basis-64">
        {explainFailure(error, t)}
        {error instanceof BillingProblem && error.requestId && (
          <span className="block text-muted">{t('state.requestId', { id: error.requestId })}</span>
        )}
      </p>
      <Button onPress={retry}>{t('state.tryAgain')}</Button>
    </div>
  );
}

/** A failed call in words for the reader. A refusal says who may. */
export function explainFailure(error: unknown, t: Translate): string {
  if (!navigator.onLine) return t('state.offline');
  if (!(error instanceof BillingProblem)) return t('state.unreachable');
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
