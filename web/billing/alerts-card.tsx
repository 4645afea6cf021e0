import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { billing } from '../data/billing.ts';
import type { Schema } from '../data/schema.ts';
import { alertsQuery, balanceQuery } from '../data/team-queries.ts';
import { type MyTeam, mayManageBilling } from '../data/teams.ts';
import { AvailableParts } from '../explain/available-parts.tsx';
import { formatCredits } from '../format/credits.ts';
import { formatPercent } from '../format/percent.ts';
import { useLanguage } from '../i18n/language.tsx';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button } from '../ui/button.tsx';
import { Card } from '../ui/card.tsx';
import { Figure } from '../ui/figure.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { Saved } from '../ui/saved.tsx';
import { TextField } from '../ui/text-field.tsx';
import { useStateOf } from '../ui/use-state-of.ts';
import { thresholdCredits } from './banner.ts';
import { mostThresholds, parseThreshold } from './thresholds.ts';
import { WhoMay } from './who-may.tsx';

/** When the team is alerted of a low balance, beside what the balance is now. */
export function AlertsCard({ team }: { team: MyTeam }) {
  const { t } = useLanguage();
  const alerts = useQuery(alertsQuery(team.id));
  return (
    <Card
      title={t('alerts.title')}
      description={t('alerts.text')}
      help={{ guide: 'usage-monitoring', anchor: 'alerts' }}
    >
      <Loaded query={alerts} lines={3}>
        {(current) =>
          mayManageBilling(team) ? (
            <AlertsForm team={team} alerts={current} />
          ) : (
            <>
              {current.lowBalance.length === 0 && <NoAlerts />}
              <ul className="mb-3 flex flex-col gap-1 text-sm">
                {current.lowBalance.map((threshold) => (
                  <li key={threshold}>
                    <ThresholdText threshold={threshold} percentOf={current.percentOf} />
                  </li>
                ))}
              </ul>
              <WhoMay team={team} what={t('alerts.askWhat')} />
            </>
          )
        }
      </Loaded>
    </Card>
  );
}

function AlertsForm({ team, alerts }: { team: MyTeam; alerts: Schema<'Alerts'> }) {
  const { t, locale } = useLanguage();
  const { data: balance } = useQuery(balanceQuery(team.id));
  const queryClient = useQueryClient();
  const write = (threshold: string) =>
    threshold.endsWith('%') ? percentText(threshold, locale) : formatCredits(threshold, locale);
  // A saved change, also one of somebody else, starts the form anew.
  const [fields, setFields] = useStateOf(alerts.lowBalance.join(), () =>
    alerts.lowBalance.map((threshold, id) => ({ id, text: write(threshold) })),
  );
  const parsed = fields.map(({ text }) => parseThreshold(text, locale));
  const thresholds = parsed.filter((one) => one !== undefined);
  const isChanged = thresholds.length !== fields.length || thresholds.join() !== alerts.lowBalance.join();
  const save = useMutation({
    mutationFn: () =>
      billing.PUT('/v1/teams/{teamId}/alerts', {
        params: { path: { teamId: team.id } },
        body: { lowBalance: thresholds },
      }),
    onSuccess: (saved) => queryClient.setQueryData(alertsQuery(team.id).queryKey, saved),
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <ul className="flex flex-col gap-3">
        {fields.map(({ id, text }, index) => (
          <li key={id} className="flex flex-wrap items-center justify-between gap-x-3 gap-y-1">
            <TextField
              label={t('alerts.field', { number: index + 1 })}
              hidesLabel
              value={text}
              onChange={(changed) =>
                setFields(fields.map((field) => (field.id === id ? { id, text: changed } : field)))
              }
              error={
                parsed[index] === undefined
                  ? t('alerts.invalid', { least: formatPercent(1, locale), most: formatPercent(99, locale) })
                  : undefined
              }
            />
            <span className="order-last min-w-0 basis-full text-sm text-muted sm:order-none sm:flex-1 sm:basis-0">
              {parsed[index] !== undefined && (
                <ThresholdText threshold={parsed[index]} percentOf={alerts.percentOf} onlyMeaning />
              )}
            </span>
            <Button
              look="quiet"
              aria-label={t('alerts.removeNumber', { number: index + 1 })}
              onPress={() => setFields(fields.filter((field) => field.id !== id))}
            >
              {t('alerts.remove')}
            </Button>
          </li>
        ))}
      </ul>
      {fields.length === 0 && <NoAlerts />}
      <div className="mt-4 flex flex-wrap items-center gap-2">
        <Button
          isDisabled={fields.length >= mostThresholds}
          onPress={() =>
            setFields([...fields, { id: Math.max(-1, ...fields.map(({ id }) => id)) + 1, text: '' }])
          }
        >
          {t('alerts.add')}
        </Button>
        <Button
          look="primary"
          type="submit"
          isPending={save.isPending}
          isDisabled={!isChanged || thresholds.length !== fields.length}
        >
          {t('state.save')}
        </Button>
        <span className="text-sm text-muted">
          {balance && (
            <>
              {t('alerts.now')}{' '}
              <Figure credits={balance.available} title={t('balance.title')}>
                <AvailableParts teamId={team.id} grants={balance.grants} />
              </Figure>{' '}
              {t('credits')}
            </>
          )}
        </span>
        <Saved isShown={save.isSuccess && !isChanged} />
      </div>
      <ActionFailed error={save.error} />
    </form>
  );
}

function NoAlerts() {
  const { t } = useLanguage();
  return <p className="text-sm text-muted">{t('alerts.none')}</p>;
}

function ThresholdText({
  threshold,
  percentOf,
  onlyMeaning = false,
}: {
  threshold: string;
  percentOf: string;
  onlyMeaning?: boolean;
}) {
  const { t, locale } = useLanguage();
  const credits = formatCredits(thresholdCredits(threshold, percentOf), locale, { digits: 2 });
  if (!threshold.endsWith('%')) return t('alerts.meaning', { credits });
  const meaning = t('alerts.percentMeaning', {
    credits,
    percentOf: formatCredits(percentOf, locale, { digits: 2 }),
  });
  return onlyMeaning ? meaning : `${percentText(threshold, locale)}: ${meaning}`;
}

/** A percentage of the API ("20%") for readers. */
function percentText(threshold: string, locale: string): string {
  return formatPercent(Number(threshold.slice(0, -1)), locale);
}
