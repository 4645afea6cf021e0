import { useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';

/** What the team's event stream names in `changed`. Each is the third part of a query's key. */
const topics = ['balance', 'subscription', 'invoices', 'usage'] as const;
/** How often everything is fetched while there is no stream. */
const pollMs = 20_000;

/**
 * Fetches what changed, as soon as the team's event stream says so. The stream has no figures. While it cannot be opened,
 * everything is fetched at intervals, and the stream is tried again.
 */
export function useTeamEvents(teamId: string): void {
  const queryClient = useQueryClient();
  useEffect(() => {
    const refetch = (topic: string) =>
      void queryClient.invalidateQueries({ queryKey: ['team', teamId, topic] });
    const refetchAll = () => topics.forEach(refetch);
    let stream: EventSource | undefined;
    let wasLost = false;
    const open = () => {
      const opened = new EventSource(`/v1/teams/${encodeURIComponent(teamId)}/events`);
      stream = opened;
      opened.addEventListener('message', ({ data }) => topicsIn(data).forEach(refetch));
      opened.addEventListener('open', () => {
        if (wasLost) refetchAll(); // events of the meantime are not sent again
        wasLost = false;
      });
      opened.addEventListener('error', () => {
        wasLost = true;
      });
    };
    open();
    const timer = setInterval(() => {
      if (document.hidden || stream?.readyState === EventSource.OPEN) return;
      refetchAll();
      if (stream?.readyState === EventSource.CLOSED) open(); // otherwise the browser opens it again
    }, pollMs);
    return () => {
      clearInterval(timer);
      stream?.close();
    };
  }, [queryClient, teamId]);
}

/** The topics of an event, `{"changed":["balance"]}`. One that this page does not know is left out. */
function topicsIn(data: string): readonly string[] {
  const event: { changed?: unknown } = JSON.parse(data);
  const { changed } = event;
  return Array.isArray(changed) ? topics.filter((topic) => changed.includes(topic)) : [];
}
