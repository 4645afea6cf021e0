import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useEffect } from 'react';
import { useLocation } from 'wouter';
import { invitationsQuery } from '../data/invitations.ts';
import { type MyTeam, teamsQuery } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { FaultBoundary } from '../ui/fault-boundary.tsx';
import { Invitations } from './invitations.tsx';
import { NotFound } from './not-found.tsx';
import { PageHeader } from './page-header.tsx';
import { PageSkeleton } from './page-skeleton.tsx';
import type { Section } from './sections.ts';
import { TeamsFailed } from './teams-failed.tsx';
import { useKeptFocus } from './use-kept-focus.ts';

/** The frame of a team's pages: header, team switcher, sections. The contents get the team and the reader's role in it. */
export function TeamPage({
  teamId,
  section,
  children,
}: {
  teamId: string;
  section: Section;
  children(team: MyTeam): ReactNode;
}) {
  const { t } = useLanguage();
  const [path] = useLocation();
  useKeptFocus();
  const teams = useQuery(teamsQuery);
  // Fetched beside the teams and waited for, so that the invitations move nothing when they appear.
  const { isPending: awaitsInvitations } = useQuery(invitationsQuery);
  const team = teams.data?.find(({ id }) => id === teamId);
  useEffect(() => {
    document.title = `${t(`nav.${section}`)}${team ? ` · ${team.name}` : ''} · Waveloom`;
  }, [t, section, team]);
  if (teams.isError && !teams.data)
    return <TeamsFailed error={teams.error} retry={() => void teams.refetch()} />;
  if (teams.data && !team) return <NotFound />;
  return (
    <>
      <PageHeader teams={teams.data ?? []} teamId={teamId} team={team} section={section} />
      <main id="main" className="mx-auto flex max-w-5xl flex-col gap-5 px-4 pt-6 pb-16 sm:px-6">
        <h1 className="text-2xl font-semibold tracking-tight">{t(`nav.${section}`)}</h1>
        {team && !awaitsInvitations ? (
          <>
            <Invitations />
            <FaultBoundary key={path}>{children(team)}</FaultBoundary>
          </>
        ) : (
          <PageSkeleton section={section} />
        )}
      </main>
    </>
  );
}
