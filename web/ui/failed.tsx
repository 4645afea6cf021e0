import { BillingProblem } from '../../client/index.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Button } from './button.tsx';
import { explainFailure, isPageFault } from './explain-failure.ts';

/** A part of the page that could not be loaded or shown: why, and what to do next. The rest of the page works on. */
export function Failed({ error, retry }: { error: unknown; retry(): void }) {
  const { t } = useLanguage();
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 text-sm">
      <p className="min-w-0 flex-1 basis-64">
        {explainFailure(error, t, navigator.onLine)}
        {error instanceof BillingProblem && error.requestId && (
          <span className="block text-muted">{t('state.requestId', { id: error.requestId })}</span>
        )}
      </p>
      {isPageFault(error) ? (
        <Button onPress={() => window.location.reload()}>{t('state.reload')}</Button>
      ) : (
        <Button onPress={retry}>{t('state.tryAgain')}</Button>
      )}
    </div>
  );
}
