import { useMutation } from '@tanstack/react-query';
import { billing } from '../data/billing.ts';
import { goTo } from '../data/go-to.ts';
import type { MyTeam } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button, type ButtonProps } from '../ui/button.tsx';

/** Opens Polar's portal: cards, billing address, all invoices. Its address is made for each press. */
export function ManageBilling({ team, look }: { team: MyTeam; look?: ButtonProps['look'] }) {
  const { t } = useLanguage();
  const open = useMutation({
    mutationFn: () => billing.POST('/v1/teams/{teamId}/portal', { params: { path: { teamId: team.id } } }),
    onSuccess: ({ url }) => goTo(url),
  });
  return (
    <div className="flex flex-col items-end">
      <Button {...(look ? { look } : {})} isPending={open.isPending} onPress={() => open.mutate()}>
        {t('portal.open')}
      </Button>
      <ActionFailed error={open.error} />
    </div>
  );
}
