import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { billing } from '../data/billing.ts';
import type { Schema } from '../data/schema.ts';
import { planPreviewQuery } from '../data/team-queries.ts';
import type { MyTeam } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button } from '../ui/button.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { PlanPreview } from './plan-preview.tsx';

/** What a change of plan means, and consent to it. It cannot be confirmed before its preview is shown. */
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
  const { t } = useLanguage();
  const queryClient = useQueryClient();
  const preview = useQuery(planPreviewQuery(team.id, subscription.id, plan.key));
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
      <Loaded query={preview} lines={8}>
        {(previewed) => <PlanPreview preview={previewed} />}
      </Loaded>
      <div className="mt-5 flex flex-wrap justify-end gap-2">
        <Button onPress={back}>{t('change.back')}</Button>
        <Button
          look="primary"
          isPending={change.isPending}
          isDisabled={preview.data === undefined || preview.data.effect === 'unchanged'}
          onPress={() => change.mutate()}
        >
          {t('change.confirm', { plan: plan.name })}
        </Button>
      </div>
      <ActionFailed error={change.error} />
    </>
  );
}
