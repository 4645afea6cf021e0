import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schema } from '../data/schema.ts';
import { catalogQuery } from '../data/team-queries.ts';
import type { MyTeam } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { ConfirmPlan } from './confirm-plan.tsx';
import { PlanList } from './plan-list.tsx';

/** Chooses another plan, or the first one: the plans, then what the choice means, then consent. */
export function ChangePlan({
  team,
  subscription,
}: {
  team: MyTeam;
  /** Null: the team has no plan, so the choice opens Polar's checkout. */
  subscription: Schema<'CurrentSubscription'> | null;
}) {
  const { t } = useLanguage();
  const [isOpen, setOpen] = useState(false);
  const [plan, setPlan] = useState<Schema<'Plan'> | null>(null);
  const catalog = useQuery(catalogQuery);
  const close = () => {
    setOpen(false);
    setPlan(null);
  };
  return (
    <>
      <Button look={subscription ? 'secondary' : 'primary'} onPress={() => setOpen(true)}>
        {t(subscription ? 'plan.change' : 'plan.choose')}
      </Button>
      <Dialog
        title={plan ? t('change.to', { plan: plan.name }) : t(subscription ? 'plan.change' : 'plan.choose')}
        isOpen={isOpen}
        onClose={close}
      >
        {plan && subscription ? (
          <ConfirmPlan
            team={team}
            subscription={subscription}
            plan={plan}
            back={() => setPlan(null)}
            done={close}
          />
        ) : (
          <Loaded query={catalog} lines={8}>
            {({ plans }) => (
              <PlanList team={team} plans={plans} current={subscription?.plan ?? null} choose={setPlan} />
            )}
          </Loaded>
        )}
      </Dialog>
    </>
  );
}
