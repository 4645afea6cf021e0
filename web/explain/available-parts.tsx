import type { Schema } from '../data/schema.ts';
import { formatCredits, isZero, sumCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import { describeExpiry } from './describe-expiry.ts';
import { GrantParts } from './grant-parts.tsx';

/** The grants that credits are available from, soonest expiry first. Each opens what has become of it. */
export function AvailableParts({ teamId, grants }: { teamId: string; grants: readonly Schema<'Grant'>[] }) {
  const { t, locale } = useLanguage();
  const spendable = grants.filter(({ available }) => !isZero(available));
  if (spendable.length === 0) return <p className="text-sm text-muted">{t('explain.noGrants')}</p>;
  return (
    <>
      <ul className="divide-y divide-line">
        {spendable.map((grant) => (
          <li key={grant.id}>
            <details className="group py-2.5">
              <summary className="flex cursor-pointer list-none items-baseline justify-between gap-4 rounded text-sm">
                <span>
                  <span
                    aria-hidden
                    className="me-2 inline-block text-muted transition-transform group-open:rotate-90"
                  >
                    ›
                  </span>
                  {t(`source.${grant.source}`)}{' '}
                  <span className="text-muted">{describeExpiry(grant.expiresAt, t, locale)}</span>
                </span>
                <span>{formatCredits(grant.available, locale)}</span>
              </summary>
              <div className="ms-4 mt-2 rounded-lg bg-sunken px-4 py-2">
                <GrantParts teamId={teamId} grant={grant} />
              </div>
            </details>
          </li>
        ))}
      </ul>
      <div className="border-t border-outline">
        <Rows>
          <Row name={t('explain.sum')} isTotal>
            {formatCredits(sumCredits(spendable.map(({ available }) => available)), locale)}
          </Row>
        </Rows>
      </div>
    </>
  );
}
