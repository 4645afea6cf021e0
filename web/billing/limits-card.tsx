import { useQueries } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schema } from '../data/schema.ts';
import { limitsQuery, membersQuery, usageByMemberQuery } from '../data/team-queries.ts';
import { type MyTeam, mayManageMembers } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Button } from '../ui/button.tsx';
import { Card } from '../ui/card.tsx';
import { Failed } from '../ui/failed.tsx';
import { CardSkeleton } from '../ui/skeleton.tsx';
import { LimitRow, type UsedThisMonth } from './limit-row.tsx';
import { WhoMay } from './who-may.tsx';

/** Members shown before *Show more* is pressed. */
const firstMembers = 6;

/** How much each member, and each API key with a limit, may use, beside what they have used. */
export function LimitsCard({ team }: { team: MyTeam }) {
  const { t } = useLanguage();
  const since = monthStart();
  const [members, limits, used] = useQueries({
    queries: [membersQuery(team.id), limitsQuery(team.id), usageByMemberQuery(team.id, since)],
  });
  const failed = [members, limits].find(({ isError, data }) => isError && data === undefined);
  return (
    <Card
      title={t('limits.title')}
      description={t('limits.text')}
      help={{ guide: 'usage-monitoring', anchor: 'limits' }}
    >
      {failed ? (
        <Failed error={failed.error} retry={() => void failed.refetch()} />
      ) : members.data && limits.data && !used.isPending ? (
        <Limits
          team={team}
          members={members.data}
          limits={limits.data}
          usedOf={(id) => used.data && { credits: used.data.get(id) ?? '0', since }}
        />
      ) : (
        <CardSkeleton lines={4} />
      )}
    </Card>
  );
}

function Limits({
  team,
  members,
  limits,
  usedOf,
}: {
  team: MyTeam;
  members: readonly Schema<'Member'>[];
  limits: readonly Schema<'Limit'>[];
  /** What a member has used this month; undefined: it could not be loaded. */
  usedOf(memberId: string): UsedThisMonth | undefined;
}) {
  const { t } = useLanguage();
  const [showsAll, setShowsAll] = useState(false);
  const limitOf = (kind: 'member' | 'key', id: string) =>
    limits.find(({ subject }) => subject.kind === kind && subject.id === id);
  const rows = [
    ...members.map(({ userId, name }) => ({ kind: 'member' as const, id: userId, name })),
    ...limits
      .filter(({ subject }) => subject.kind === 'key')
      .map(({ subject }) => ({
        kind: 'key' as const,
        id: subject.id,
        name: t('limits.key', { id: subject.id }),
      })),
  ];
  return (
    <>
      <ul className="divide-y divide-line">
        {(showsAll ? rows : rows.slice(0, firstMembers)).map(({ kind, id, name }) => (
          <LimitRow
            key={`${kind} ${id}`}
            team={team}
            subject={{ kind, id }}
            name={name}
            limit={limitOf(kind, id)}
            used={kind === 'member' ? usedOf(id) : undefined}
          />
        ))}
      </ul>
      {!showsAll && rows.length > firstMembers && (
        <Button look="quiet" onPress={() => setShowsAll(true)}>
          {t('state.more')}
        </Button>
      )}
      {!mayManageMembers(team) && (
        <div className="mt-3">
          <WhoMay team={team} what={t('limits.askWhat')} roles={['owner', 'admin']} />
        </div>
      )}
    </>
  );
}

/** The start of the month in UTC, as limits count it. */
function monthStart(): string {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth())).toISOString();
}
