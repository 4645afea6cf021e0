import { useMutation, useQueryClient } from '@tanstack/react-query';
import { billing } from '../data/billing.ts';
import type { Schema } from '../data/schema.ts';
import type { MyTeam } from '../data/teams.ts';
import { formatCredits } from '../format/credits.ts';
import { formatMoney } from '../format/money.ts';
import { useLanguage } from '../i18n/language.tsx';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button } from '../ui/button.tsx';
import { Row, Rows } from '../ui/rows.tsx';

/** What a change of plan means, before consent to it. */
export function ConfirmPlan({
  team,
  subscription,
  plan,
  back,
  done,
}: {
  team: MyTeam;
  subscription: Schema<'CurrentSubscription'>;
  plan: Schema<'Plan'>;
  back(): void;
  done(): void;
}) {
  const { t, locale } = useLanguage();
  const queryClient = useQueryClient();
  const change = useMutation({
    mutationFn: () =>
      billing.POST('/v1/teams/{teamId}/subscription/change', {
        params: { path: { teamId: team.id } },
        body: { plan: plan.key, subscriptionId: subscription.id },
      }),
    onSuccess: done,
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['team', team.id] }),
  });
  return (
    <>
      <Rows>
        <Row name={t('change.price')}>
          {t(plan.interval === 'year' ? 'plan.perYear' : 'plan.perMonth', {
            price: formatMoney(plan.price.cents, plan.price.currency, locale),
          })}
        </Row>
        <Row name={t('change.credits')}>
          {t(plan.interval === 'year' ? 'plan.creditsYear' : 'plan.creditsMonth', {
            credits: formatCredits(plan.allotment, locale),
          })}
        </Row>
      </Rows>
      <div className="mt-5 flex flex-wrap justify-end gap-2">
        <Button onPress={back}>{t('change.back')}</Button>
        <Button look="primary" isPending={change.isPending} onPress={() => change.mutate()}>
          {t('change.confirm', { plan: plan.name })}
        </Button>
      </div>
      <ActionFailed error={change.error} />
    </>
  );
}
