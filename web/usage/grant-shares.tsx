import { useQuery } from '@tanstack/react-query';
import type { Schema } from '../data/schema.ts';
import { balanceQuery } from '../data/team-queries.ts';
import { toMicroCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import type { UsageTexts } from './usage-texts.ts';

/** The grants that paid, in burn order, and when each came and expires. */
export function GrantShares({
  teamId,
  shares,
  texts,
}: {
  teamId: string;
  shares: readonly Schema<'GrantShare'>[];
  texts: UsageTexts;
}) {
  const { t } = useLanguage();
  const { data: balance } = useQuery(balanceQuery(teamId));
  if (shares.length === 0) return <p className="text-sm text-muted">{t('usage.paidByNothing')}</p>;
  return (
    <Rows>
      {shares.map(({ grantId, source, credits }) => {
        const grant = balance?.grants.find(({ id }) => id === grantId);
        return (
          <Row
            key={grantId}
            name={
              <>
                {t(`source.${source}`)}
                {grant && (
                  <span className="block text-xs">
                    {t('usage.grantOf', {
                      credits: texts.credits(toMicroCredits(grant.granted)),
                      at: texts.instant(grant.effectiveAt),
                    })}
                    {' · '}
                    {grant.expiresAt === null
                      ? t('usage.neverExpires')
                      : t('usage.expiresAt', { at: texts.instant(grant.expiresAt) })}
                  </span>
                )}
              </>
            }
          >
            {texts.exact(toMicroCredits(credits))}
          </Row>
        );
      })}
    </Rows>
  );
}
