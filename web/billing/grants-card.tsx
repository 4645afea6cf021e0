import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schema } from '../data/schema.ts';
import { balanceQuery } from '../data/team-queries.ts';
import type { MyTeam } from '../data/teams.ts';
import { describeExpiry } from '../explain/describe-expiry.ts';
import { GrantParts } from '../explain/grant-parts.tsx';
import { formatCredits, isZero } from '../format/credits.ts';
import { formatDay } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Button } from '../ui/button.tsx';
import { Card } from '../ui/card.tsx';
import { Figure } from '../ui/figure.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { sourceColor } from './balance-bar.tsx';

/** Grants shown before *Show all* is pressed. */
const firstGrants = 5;

/** Where credits come from: each grant, what is left of it, and when it expires. Grants with credits come first. */
export function GrantsCard({ team }: { team: MyTeam }) {
  const { t } = useLanguage();
  const balance = useQuery(balanceQuery(team.id));
  const [showsAll, setShowsAll] = useState(false);
  return (
    <div id="grants" className="scroll-mt-4">
      <Card
        title={t('grants.title')}
        description={t('grants.text')}
        help={{ guide: 'credit-system', anchor: 'where-credits-come-from' }}
      >
        <Loaded query={balance} lines={5}>
          {({ grants }) => {
            if (grants.length === 0) return <p className="text-sm text-muted">{t('grants.none')}</p>;
            const sorted = [...grants].sort((a, b) => Number(isUsed(a)) - Number(isUsed(b)));
            return (
              <>
                <ul className="divide-y divide-line text-sm">
                  {(showsAll ? sorted : sorted.slice(0, firstGrants)).map((grant) => (
                    <GrantRow key={grant.id} teamId={team.id} grant={grant} />
                  ))}
                </ul>
                {!showsAll && sorted.length > firstGrants && (
                  <div className="mt-3">
                    <Button look="quiet" onPress={() => setShowsAll(true)}>
                      {t('grants.all', { count: sorted.length })}
                    </Button>
                  </div>
                )}
              </>
            );
          }}
        </Loaded>
      </Card>
    </div>
  );
}

function GrantRow({ teamId, grant }: { teamId: string; grant: Schema<'Grant'> }) {
  const { t, locale } = useLanguage();
  return (
    <li className={`flex items-center gap-3 py-2.5 ${isUsed(grant) ? 'text-muted' : ''}`}>
      <span
        aria-hidden
        className={`size-2.5 shrink-0 rounded-full ${isUsed(grant) ? 'bg-line' : sourceColor[grant.source]}`}
      />
      <span className="min-w-0 flex-1">
        <span className="font-medium">{t(`source.${grant.source}`)}</span>
        <span className="block text-muted">
          {t('grants.row', {
            date: formatDay(grant.effectiveAt, locale),
            expiry: describeExpiry(grant.expiresAt, t, locale),
          })}
        </span>
      </span>
      <span className="text-end">
        <Figure credits={grant.available} title={t(`source.${grant.source}`)}>
          <GrantParts teamId={teamId} grant={grant} />
        </Figure>
        <span className="block text-muted">
          {t('grants.of', { credits: formatCredits(grant.granted, locale, { digits: 2 }) })}
        </span>
      </span>
    </li>
  );
}

/** True if nothing of the grant can be spent any more. */
function isUsed({ available, held }: Schema<'Grant'>): boolean {
  return isZero(available) && isZero(held);
}
