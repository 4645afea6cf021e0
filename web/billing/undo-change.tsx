import { useMutation, useQueryClient } from '@tanstack/react-query';
import { billing } from '../data/billing.ts';
import type { Schema } from '../data/schema.ts';
import type { MyTeam } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button } from '../ui/button.tsx';

/** Undoes a change that is scheduled for the next cycle: a change to the current plan. */
export function UndoChange({
  team,
  subscription,
}: {
  team: MyTeam;
  subscription: Schema<'CurrentSubscription'>;
}) {
  const { t } = useLanguage();
  const queryClient = useQueryClient();
  const undo = useMutation({
    mutationFn: () =>
      billing.POST('/v1/teams/{teamId}/subscription/change', {
        params: { path: { teamId: team.id } },
        body: { plan: subscription.plan, subscriptionId: subscription.id },
      }),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['team', team.id] }),
  });
  return (
    <div>
      <Button isPending={undo.isPending} onPress={() => undo.mutate()}>
        {t('plan.undoChange')}
      </Button>
      <ActionFailed error={undo.error} />
    </div>
  );
}
