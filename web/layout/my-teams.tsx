import { useQuery } from '@tanstack/react-query';
import { Redirect } from 'wouter';
import { teamsQuery } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Invitations } from './invitations.tsx';
import { Message } from './message.tsx';
import { PageSkeleton } from './page-skeleton.tsx';
import { TeamsFailed } from './teams-failed.tsx';

/** `/`: the first team's billing. Personal Teams come first. */
export function MyTeams() {
  const { t } = useLanguage();
  const teams = useQuery(teamsQuery);
  if (teams.isError) return <TeamsFailed error={teams.error} retry={() => void teams.refetch()} />;
  if (!teams.data)
    return (
      <main className="mx-auto flex max-w-5xl flex-col gap-5 p-6">
        <PageSkeleton section="billing" />
      </main>
    );
  const [first] = teams.data;
  if (!first)
    return (
      <Message title={t('teams.none')} text={t('teams.noneText')}>
        <Invitations />
      </Message>
    );
  return <Redirect to={`/teams/${first.id}/billing`} replace />;
}
