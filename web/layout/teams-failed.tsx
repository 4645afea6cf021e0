import { BillingProblem } from '../../client/index.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Failed } from '../ui/failed.tsx';
import { SignedOut } from './signed-out.tsx';

/** The list of teams could not be loaded: nobody is signed in, or the API does not answer. */
export function TeamsFailed({ error, retry }: { error: unknown; retry(): void }) {
  const { t } = useLanguage();
  if (error instanceof BillingProblem && error.code === 'unauthenticated') return <SignedOut />;
  return (
    <main className="mx-auto max-w-xl p-6 pt-24">
      <h1 className="mb-4 text-xl font-semibold">{t('teams.failed')}</h1>
      <Failed error={error} retry={retry} />
    </main>
  );
}
