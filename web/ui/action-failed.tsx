import { useLanguage } from '../i18n/language.tsx';
import { explainFailure } from './explain-failure.ts';

/** Why an action was not done, beside its button. */
export function ActionFailed({ error }: { error: unknown }) {
  const { t } = useLanguage();
  if (!error) return null;
  return (
    <p role="alert" className="mt-3 rounded-lg bg-danger-soft px-3 py-2 text-sm text-danger">
      {explainFailure(error, t, navigator.onLine)}
    </p>
  );
}
