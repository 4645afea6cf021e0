import { BillingProblem } from '../../client/index.ts';
import { useLanguage } from '../i18n/language.tsx';
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

/** A failed call in words for the reader. */
export function explainFailure(error: unknown, t: ReturnType<typeof useLanguage>['t']): string {
  if (!navigator.onLine) return t('state.offline');
  if (!(error instanceof BillingProblem)) return t('state.unreachable');
  const { code, problem, retriable } = error;
  if (code === 'unauthenticated') return t('state.signedOut');
  if (code === 'forbidden') return t('state.forbidden');
  if (code === 'payment_failed') return t('state.paymentFailed');
  if (retriable) return t('state.busy');
  return problem.detail;
}
