import { useQuery } from '@tanstack/react-query';
import { balanceQuery, forecastQuery } from '../data/team-queries.ts';
import { type MyTeam, mayManageBilling } from '../data/teams.ts';
import { AvailableParts } from '../explain/available-parts.tsx';
import { DebtParts } from '../explain/debt-parts.tsx';
import { HeldParts } from '../explain/held-parts.tsx';
import { PaceParts } from '../explain/pace-parts.tsx';
import { isZero } from '../format/credits.ts';
import { formatDay } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Card } from '../ui/card.tsx';
import { Figure } from '../ui/figure.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import { BalanceBar } from './balance-bar.tsx';
import { BuyCredits } from './buy-credits.tsx';

/** What the team has, by source, when it expires, and how long it lasts. */
export function BalanceCard({ team }: { team: MyTeam }) {
  const { t, locale } = useLanguage();
  const balance = useQuery(balanceQuery(team.id));
  const forecast = useQuery(forecastQuery(team.id));
  return (
    <Card
      title={t('balance.title')}
      help={{ guide: 'credit-system' }}
      actions={mayManageBilling(team) && <BuyCredits team={team} />}
    >
      <Loaded query={balance} lines={7}>
        {({ available, held, debt, bySource, grants }) => (
          <>
            <p className="mb-4">
              <span className="text-4xl font-semibold tracking-tight">
                <Figure credits={available} title={t('balance.availableTitle')}>
                  <AvailableParts teamId={team.id} grants={grants} />
                </Figure>
              </span>{' '}
              <span className="text-muted">{t('balance.available')}</span>
            </p>
            <BalanceBar teamId={team.id} bySource={bySource} grants={grants} />
            <div className="mt-5">
              <Loaded query={forecast} lines={3}>
                {({ expiring: [next], pace, runsOutAt, asOf }) => (
                  <Rows>
                    <Row name={t('balance.nextExpiry')}>
                      {next ? (
                        <>
                          <Figure
                            credits={next.credits}
                            title={t('balance.expiresOn', { date: formatDay(next.at, locale) })}
                          >
                            <AvailableParts
                              teamId={team.id}
                              grants={grants.filter(({ expiresAt }) => expiresAt === next.at)}
                            />
                          </Figure>{' '}
                          {t('balance.onDate', { date: formatDay(next.at, locale) })}
                        </>
                      ) : (
                        t('balance.nothingExpires')
                      )}
                    </Row>
                    <Row name={t('balance.pace')}>
                      <Figure
                        credits={pace.creditsPerDay}
                        title={t('balance.paceTitle', { count: pace.days })}
                      >
                        <PaceParts teamId={team.id} pace={pace} asOf={asOf} />
                      </Figure>{' '}
                      {t('balance.perDay')}
                    </Row>
                    <Row name={t('balance.lasts')}>
                      {isZero(available)
                        ? t('balance.usedUp')
                        : runsOutAt === null
                          ? t('balance.lastsLong')
                          : t('balance.lastsUntil', { date: formatDay(runsOutAt, locale) })}
                    </Row>
                    <Row name={t('balance.held')}>
                      <Figure credits={held} title={t('balance.held')}>
                        <HeldParts teamId={team.id} />
                      </Figure>
                    </Row>
                    {!isZero(debt) && (
                      <Row name={t('balance.debt')}>
                        <Figure credits={debt} title={t('balance.debt')}>
                          <DebtParts teamId={team.id} />
                        </Figure>
                      </Row>
                    )}
                  </Rows>
                )}
              </Loaded>
            </div>
          </>
        )}
      </Loaded>
    </Card>
  );
}
