import type { MyTeam } from '../data/teams.ts';
import { BalanceCard } from './balance-card.tsx';

/** Team Settings → Billing. */
export function BillingPage({ team }: { team: MyTeam }) {
  return <BalanceCard team={team} />;
}
