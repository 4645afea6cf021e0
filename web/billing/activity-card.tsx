import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { activityQuery, balanceQuery, membersQuery } from '../data/team-queries.ts';
import type { MyTeam } from '../data/teams.ts';
import { GrantParts } from '../explain/grant-parts.tsx';
import { UsageParts } from '../explain/usage-parts.tsx';
import { formatDay, formatInstant } from '../format/dates.ts';
import { readersTimezone, useLanguage } from '../i18n/language.tsx';
import { Card } from '../ui/card.tsx';
import { Figure } from '../ui/figure.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { LoadedList } from '../ui/loaded-list.tsx';
import { type Activity, actText, changeSign, withoutAnsweredRequests } from './describe-activity.ts';

/** What happened to the team's credits, newest first: credits that came or went, usage by day, administrative acts. */
export function ActivityCard({ team }: { team: MyTeam }) {
  const { t } = useLanguage();
  const query = useInfiniteQuery(activityQuery(team.id, readersTimezone()));
  return (
    <Card title={t('activity.title')}>
      <LoadedList query={query} lines={6}>
        {(activity) => {
          const entries = withoutAnsweredRequests(activity);
          if (entries.length === 0) return <p className="text-sm text-muted">{t('activity.none')}</p>;
          return (
            <ol className="divide-y divide-line text-sm">
              {entries.map((entry, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: entries have no id; new ones come at the top after a refetch
                <ActivityRow key={index} team={team} entry={entry} />
              ))}
            </ol>
          );
        }}
      </LoadedList>
    </Card>
  );
}

function ActivityRow({ team, entry }: { team: MyTeam; entry: Activity }) {
  const { t, locale } = useLanguage();
  return (
    <li className="flex items-baseline gap-4 py-2.5">
      <span className="min-w-0 flex-1">
        <ActivityText team={team} entry={entry} />
        <span className="block text-muted">
          {entry.kind === 'used' ? formatDay(entry.at, locale) : formatInstant(entry.at, locale)}
        </span>
      </span>
      {entry.kind === 'used' && (
        <Figure
          credits={`-${entry.credits}`}
          signed
          title={t('activity.usedOn', { date: formatDay(entry.at, locale) })}
        >
          <UsageParts teamId={team.id} filter={{ from: entry.at, to: nextDay(entry.at) }} />
        </Figure>
      )}
      {entry.kind === 'credits' && (
        <Figure
          credits={`${changeSign[entry.change]}${entry.credits}`}
          signed
          title={t(`change.${entry.change}`)}
        >
          <GrantOf teamId={team.id} grantId={entry.grantId} />
        </Figure>
      )}
    </li>
  );
}

function ActivityText({ team, entry }: { team: MyTeam; entry: Activity }) {
  const { t } = useLanguage();
  const { data: members = [] } = useQuery(membersQuery(team.id));
  if (entry.kind === 'used') return t('activity.used', { count: entry.events });
  if (entry.kind === 'credits') return `${t(`change.${entry.change}`)} · ${t(`source.${entry.source}`)}`;
  const nameOf = (id: string) => members.find(({ userId }) => userId === id)?.name ?? id;
  const [, userId] = /^person:(.+)$/.exec(entry.actor) ?? [];
  const who = userId ? nameOf(userId) : t('activity.system');
  const subject =
    entry.subject && members.some(({ userId }) => userId === entry.subject) ? nameOf(entry.subject) : null;
  return (
    <>
      {[actText(entry.action, t), subject].filter((one) => one !== null).join(' · ')}
      <span className="text-muted"> · {who}</span>
      {entry.reason && <span className="block text-muted">{entry.reason}</span>}
    </>
  );
}

/** The grant of a change. A grant that is no longer listed has nothing left. */
function GrantOf({ teamId, grantId }: { teamId: string; grantId: string }) {
  const { t } = useLanguage();
  const balance = useQuery(balanceQuery(teamId));
  return (
    <Loaded query={balance} lines={4}>
      {({ grants }) => {
        const grant = grants.find(({ id }) => id === grantId);
        return grant ? (
          <GrantParts teamId={teamId} grant={grant} />
        ) : (
          <p className="text-sm text-muted">{t('explain.oldGrant')}</p>
        );
      }}
    </Loaded>
  );
}

/** The start of the next local day. Days with a change of the clocks are 23 or 25 hours long. */
function nextDay(start: string): string {
  const day = new Date(start);
  day.setDate(day.getDate() + 1);
  return day.toISOString();
}
