import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schema } from '../data/schema.ts';
import { transfersQuery } from '../data/team-queries.ts';
import { formatCredits, isZero } from '../format/credits.ts';
import { formatInstant } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Button } from '../ui/button.tsx';
import { LoadedList } from '../ui/loaded-list.tsx';
import { Row, Rows } from '../ui/rows.tsx';

const accounts = ['available', 'held', 'consumed', 'expired', 'revoked', 'settled'] as const;

/** What has become of a grant: its accounts, which add up to what was granted, and its transfers. */
export function GrantParts({ teamId, grant }: { teamId: string; grant: Schema<'Grant'> }) {
  const { t, locale } = useLanguage();
  const [showsTransfers, setShowsTransfers] = useState(false);
  return (
    <>
      <Rows>
        {accounts
          .filter((account) => account === 'available' || !isZero(grant[account]))
          .map((account) => (
            <Row key={account} name={t(`account.${account}`)}>
              {formatCredits(grant[account], locale)}
            </Row>
          ))}
        <Row name={t('account.granted', { date: formatInstant(grant.effectiveAt, locale) })} isTotal>
          {formatCredits(grant.granted, locale)}
        </Row>
      </Rows>
      {showsTransfers ? (
        <Transfers teamId={teamId} grant={grant} />
      ) : (
        <Button look="quiet" onPress={() => setShowsTransfers(true)}>
          {t('explain.showTransfers')}
        </Button>
      )}
    </>
  );
}

function Transfers({ teamId, grant }: { teamId: string; grant: Schema<'Grant'> }) {
  const { t, locale } = useLanguage();
  const query = useInfiniteQuery(transfersQuery(teamId, grant.effectiveAt));
  return (
    <>
      <h4 className="mt-3 text-sm font-medium">{t('explain.transfers')}</h4>
      <LoadedList query={query}>
        {(transfers) => (
          <Rows>
            {transfers
              .filter(({ grantId }) => grantId === grant.id)
              .map(({ id, at, kind, credits }) => (
                <Row key={id} name={`${formatInstant(at, locale)} · ${t(`transfer.${kind}`)}`}>
                  {formatCredits(credits, locale)}
                </Row>
              ))}
          </Rows>
        )}
      </LoadedList>
    </>
  );
}
