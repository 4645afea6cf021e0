import { useQuery } from '@tanstack/react-query';
import { balanceQuery } from '../data/team-queries.ts';
import type { MyTeam } from '../data/teams.ts';
import { formatCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Card } from '../ui/card.tsx';
import { Loaded } from '../ui/loaded.tsx';

export function BalanceCard({ team }: { team: MyTeam }) {
  const { t, locale } = useLanguage();
  const balance = useQuery(balanceQuery(team.id));
  return (
    <Card title={t('balance.title')}>
      <Loaded query={balance} lines={4}>
        {({ available }) => (
          <p>
            <span className="text-4xl font-semibold">{formatCredits(available, locale, { digits: 2 })}</span>{' '}
            <span className="text-muted">{t('balance.available')}</span>
          </p>
        )}
      </Loaded>
    </Card>
  );
}
