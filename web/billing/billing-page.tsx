import { useTeamEvents } from '../data/team-events.ts';
import type { MyTeam } from '../data/teams.ts';
import { PageSkeleton } from '../layout/page-skeleton.tsx';
import { EachAlone } from '../ui/fault-boundary.tsx';
import { ActivityCard } from './activity-card.tsx';
import { AlertsCard } from './alerts-card.tsx';
import { BalanceCard } from './balance-card.tsx';
import { BannerView } from './banner-view.tsx';
import { CheckoutReturn } from './checkout-return.tsx';
import { GrantsCard } from './grants-card.tsx';
import { InvoicesCard } from './invoices-card.tsx';
import { LimitsCard } from './limits-card.tsx';
import { PlanCard } from './plan-card.tsx';
import { useBanner } from './use-banner.ts';

/** Team Settings → Billing. It waits for the facts of the banner, so that the banner moves nothing when it appears. */
export function BillingPage({ team }: { team: MyTeam }) {
  useTeamEvents(team.id);
  const { banner, isPending } = useBanner(team.id);
  return (
    <>
      <CheckoutReturn team={team} />
      {isPending ? (
        <PageSkeleton section="billing" />
      ) : (
        <>
          <EachAlone>{banner && <BannerView team={team} banner={banner} />}</EachAlone>
          <div className="grid items-stretch gap-5 lg:grid-cols-[3fr_2fr]">
            <EachAlone>
              <BalanceCard team={team} />
              <PlanCard team={team} />
            </EachAlone>
          </div>
          <EachAlone>
            <GrantsCard team={team} />
            <AlertsCard team={team} />
            <LimitsCard team={team} />
            <InvoicesCard team={team} />
            <ActivityCard team={team} />
          </EachAlone>
        </>
      )}
    </>
  );
}
