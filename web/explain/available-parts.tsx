import type { Schema } from '../data/schema.ts';
import { formatCredits, isZero, sumCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Opens } from '../ui/opens.tsx';
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
            <Opens
              name={
                <>
                  {t(`source.${grant.source}`)}{' '}
                  <span className="text-muted">{describeExpiry(grant.expiresAt, t, locale)}</span>
                </>
              }
              value={formatCredits(grant.available, locale)}
            >
              <GrantParts teamId={teamId} grant={grant} />
            </Opens>
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
