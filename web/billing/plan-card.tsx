import { useQuery } from '@tanstack/react-query';
import type { Schema } from '../data/schema.ts';
import { catalogQuery, subscriptionQuery } from '../data/team-queries.ts';
import { type MyTeam, mayManageBilling } from '../data/teams.ts';
import { AllotmentParts } from '../explain/allotment-parts.tsx';
import { formatDay } from '../format/dates.ts';
import { formatMoney } from '../format/money.ts';
import { useLanguage } from '../i18n/language.tsx';
import type { Translate } from '../i18n/text.ts';
import { Card } from '../ui/card.tsx';
import { Figure } from '../ui/figure.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import { CancelPlan } from './cancel-plan.tsx';
import { ChangePlan } from './change-plan.tsx';
import { ResumePlan } from './resume-plan.tsx';
import { UndoChange } from './undo-change.tsx';
import { WhoMay } from './who-may.tsx';

type Subscription = Schema<'CurrentSubscription'>;

/** The plan: its cycle, renewal or end, and the next credits; change, cancel and resume. */
export function PlanCard({ team }: { team: MyTeam }) {
  const { t } = useLanguage();
  const subscription = useQuery(subscriptionQuery(team.id));
  return (
    <Card title={t('plan.title')} help={{ guide: 'subscriptions' }}>
      <Loaded query={subscription} lines={7}>
        {(current) => (
          <div className="flex flex-col gap-5">
            {current ? (
              <CurrentPlan subscription={current} />
            ) : (
              <p className="text-muted">{t('plan.none')}</p>
            )}
            {mayManageBilling(team) ? (
              <div className="flex flex-wrap gap-2">
                <PlanActions team={team} subscription={current} />
              </div>
            ) : (
              <WhoMay team={team} what={t('plan.askWhat')} />
            )}
          </div>
        )}
      </Loaded>
    </Card>
  );
}

function PlanActions({ team, subscription }: { team: MyTeam; subscription: Subscription | null }) {
  if (!subscription) return <ChangePlan team={team} subscription={null} />;
  const isEnding = subscription.cancelAtPeriodEnd;
  return (
    <>
      {isEnding || subscription.status === 'paused' ? (
        <ResumePlan team={team} />
      ) : (
        <>
          {subscription.scheduledChange && <UndoChange team={team} subscription={subscription} />}
          <ChangePlan team={team} subscription={subscription} />
          <CancelPlan team={team} subscription={subscription} />
        </>
      )}
    </>
  );
}

function CurrentPlan({ subscription }: { subscription: Subscription }) {
  const { t, locale } = useLanguage();
  const catalog = useQuery(catalogQuery);
  const plan = catalog.data?.plans.find(({ key }) => key === subscription.plan);
  const nextPlan = catalog.data?.plans.find(
    ({ key }) => key === (subscription.scheduledChange?.plan ?? subscription.plan),
  );
  const nameOf = (wanted: string) => catalog.data?.plans.find(({ key }) => key === wanted)?.name ?? wanted;
  const { cycle, nextAllotment, paymentDue, scheduledChange, others } = subscription;
  return (
    <>
      <p>
        <span className="text-2xl font-semibold tracking-tight">{nameOf(subscription.plan)}</span>
        {plan && (
          <span className="block text-muted">
            {t(plan.interval === 'year' ? 'plan.perYear' : 'plan.perMonth', {
              price: formatMoney(plan.price.cents, plan.price.currency, locale),
            })}
          </span>
        )}
      </p>
      <Rows>
        <Row name={t('plan.cycle')}>
          {t('plan.range', { start: formatDay(cycle.start, locale), end: formatDay(cycle.end, locale) })}
        </Row>
        <Row name={t('plan.status')}>{describeStatus(subscription, t, locale)}</Row>
        {scheduledChange && (
          <Row name={t('plan.scheduled')}>
            {t('plan.scheduledTo', {
              plan: nameOf(scheduledChange.plan),
              date: formatDay(scheduledChange.at, locale),
            })}
          </Row>
        )}
        <Row name={t('plan.nextCredits')}>
          {nextAllotment ? (
            <>
              <Figure credits={nextAllotment.credits} title={t('plan.nextCredits')} signed>
                <AllotmentParts plan={nextPlan} next={nextAllotment} />
              </Figure>{' '}
              {t('balance.onDate', { date: formatDay(nextAllotment.at, locale) })}
            </>
          ) : paymentDue ? (
            t('plan.afterPayment')
          ) : (
            t('plan.noneFollow')
          )}
        </Row>
      </Rows>
      {others.length > 0 && (
        <p className="text-sm text-warning">{t('plan.others', { count: others.length })}</p>
      )}
    </>
  );
}

function describeStatus(
  { status, cancelAtPeriodEnd, cycle, paymentDue }: Subscription,
  t: Translate,
  locale: string,
) {
  const date = formatDay(cycle.end, locale);
  if (paymentDue) return t('plan.pastDue', { date: formatDay(paymentDue.since, locale) });
  if (status === 'paused') return t('plan.paused');
  return cancelAtPeriodEnd ? t('plan.endsOn', { date }) : t('plan.renewsOn', { date });
}
