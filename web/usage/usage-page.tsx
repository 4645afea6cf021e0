import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useTeamEvents } from '../data/team-events.ts';
import { subscriptionQuery } from '../data/team-queries.ts';
import type { MyTeam } from '../data/teams.ts';
import { LoadingCard } from '../ui/skeleton.tsx';
import { rangeOf } from './range.ts';
import { UsageView } from './usage-view.tsx';
import { useNow } from './use-now.ts';
import { useViewState } from './use-view-state.ts';

/** Team Settings → Usage. All that it shows follows from the URL. */
export function UsagePage({ team }: { team: MyTeam }) {
  useTeamEvents(team.id);
  const [state, change] = useViewState();
  const now = useNow();
  const subscription = useQuery(subscriptionQuery(team.id));
  const { data } = subscription;
  const cycle = useMemo(
    () => (data ? { start: Date.parse(data.cycle.start), end: Date.parse(data.cycle.end) } : null),
    [data],
  );
  const range = useMemo(
    () => rangeOf(state.range, { now, zone: state.zone, cycle }),
    [state.range, state.zone, now, cycle],
  );
  // The range of a cycle is unknown until the subscription is. If it cannot be read, the month is shown.
  if (state.range.kind === 'cycle' && subscription.isPending) return <LoadingCard lines={16} />;
  return (
    <UsageView
      teamId={team.id}
      state={state}
      change={change}
      now={now}
      range={range}
      hasCycle={cycle !== null}
    />
  );
}
