import { useMutation, useQueryClient } from '@tanstack/react-query';
import { billing } from '../data/billing.ts';
import type { MyTeam } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button, type ButtonProps } from '../ui/button.tsx';

/** Undoes the cancellation of the plan. It renews again at the end of its cycle. */
export function ResumePlan({ team, look }: { team: MyTeam; look?: ButtonProps['look'] }) {
  const { t } = useLanguage();
  const queryClient = useQueryClient();
  const resume = useMutation({
    mutationFn: () =>
      billing.POST('/v1/teams/{teamId}/subscription/resume', { params: { path: { teamId: team.id } } }),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['team', team.id] }),
  });
  return (
    <div>
      <Button {...(look ? { look } : {})} isPending={resume.isPending} onPress={() => resume.mutate()}>
        {t('plan.resume')}
      </Button>
      <ActionFailed error={resume.error} />
    </div>
  );
}
