import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { billing } from '../data/billing.ts';
import type { Schema } from '../data/schema.ts';
import type { MyTeam } from '../data/teams.ts';
import { formatDay } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';

/** Cancels the plan at the end of its cycle, after saying what stays and what ends. */
export function CancelPlan({
  team,
  subscription,
}: {
  team: MyTeam;
  subscription: Schema<'CurrentSubscription'>;
}) {
  const { t, locale } = useLanguage();
  const [isOpen, setOpen] = useState(false);
  const queryClient = useQueryClient();
  const cancel = useMutation({
    mutationFn: () =>
      billing.POST('/v1/teams/{teamId}/subscription/cancel', {
        params: { path: { teamId: team.id } },
        body: { subscriptionId: subscription.id },
      }),
    onSuccess: () => setOpen(false),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['team', team.id] }),
  });
  const date = formatDay(subscription.cycle.end, locale);
  return (
    <>
      <Button look="quiet" onPress={() => setOpen(true)}>
        {t('cancel.open')}
      </Button>
      <Dialog title={t('cancel.title')} isOpen={isOpen} onClose={() => setOpen(false)}>
        <ul className="mb-5 flex list-disc flex-col gap-1.5 ps-5 text-sm">
          <li>{t('cancel.until', { date })}</li>
          <li>{t('cancel.then', { date })}</li>
          <li>{t('cancel.lifetime')}</li>
        </ul>
        <div className="flex flex-wrap justify-end gap-2">
          <Button onPress={() => setOpen(false)}>{t('cancel.keep')}</Button>
          <Button look="danger" isPending={cancel.isPending} onPress={() => cancel.mutate()}>
            {t('cancel.confirm')}
          </Button>
        </div>
        <ActionFailed error={cancel.error} />
      </Dialog>
    </>
  );
}
