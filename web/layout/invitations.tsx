import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useId, useRef } from 'react';
import { Link } from 'wouter';
import { answerInvitation, type Invitation, invitationsQuery } from '../data/invitations.ts';
import { teamsQuery } from '../data/teams.ts';
import { formatDay } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button, buttonClass } from '../ui/button.tsx';
import { Failed } from '../ui/failed.tsx';

/** The user's open invitations to teams, on the pages of every team. Without any, nothing is shown. */
export function Invitations() {
  const { t, locale } = useLanguage();
  const titleId = useId();
  const section = useRef<HTMLElement>(null);
  const queryClient = useQueryClient();
  const invitations = useQuery(invitationsQuery);
  const reply = useMutation({
    mutationFn: ({ invitation, answer }: { invitation: Invitation; answer: 'accept' | 'decline' }) =>
      answerInvitation(invitation, answer),
    onSettled: async () => {
      const { queryKey } = invitationsQuery;
      await Promise.all([
        queryClient.invalidateQueries({ queryKey }),
        queryClient.invalidateQueries({ queryKey: teamsQuery.queryKey }),
      ]);
      section.current?.focus(); // the pressed button is gone
    },
  });
  const open = invitations.data ?? [];
  const hasFailed = invitations.isError && !invitations.data;
  if (open.length === 0 && !hasFailed && reply.isIdle) return null;
  const isPending = ({ id }: Invitation, answer: string) =>
    reply.isPending && reply.variables.invitation.id === id && reply.variables.answer === answer;
  return (
    <section
      ref={section}
      tabIndex={-1}
      aria-labelledby={titleId}
      className="rounded-xl bg-accent-soft px-5 py-4 outline-none"
    >
      <h2 id={titleId} className="text-sm font-semibold">
        {t('invitations.title')}
      </h2>
      <ul>
        {open.map((invitation) => (
          <li
            key={invitation.id}
            className="mt-2 flex flex-wrap items-center justify-between gap-x-6 gap-y-2"
          >
            <p className="min-w-0 flex-1 basis-60 break-words">
              <strong className="font-semibold">{invitation.team.name}</strong>
              <span className="block text-sm">
                {t('invitations.terms', {
                  role: t(`role.${invitation.role}`),
                  date: formatDay(invitation.expiresAt, locale),
                })}
              </span>
            </p>
            <div className="flex gap-2">
              <Button
                aria-label={t('invitations.declineOf', { team: invitation.team.name })}
                isPending={isPending(invitation, 'decline')}
                isDisabled={reply.isPending && !isPending(invitation, 'decline')}
                onPress={() => reply.mutate({ invitation, answer: 'decline' })}
              >
                {t('invitations.decline')}
              </Button>
              <Button
                look="primary"
                aria-label={t('invitations.acceptOf', { team: invitation.team.name })}
                isPending={isPending(invitation, 'accept')}
                isDisabled={reply.isPending && !isPending(invitation, 'accept')}
                onPress={() => reply.mutate({ invitation, answer: 'accept' })}
              >
                {t('invitations.accept')}
              </Button>
            </div>
          </li>
        ))}
      </ul>
      {hasFailed && <Failed error={invitations.error} retry={() => void invitations.refetch()} />}
      <div role="status">{reply.isSuccess && <Answered {...reply.variables} role={reply.data} />}</div>
      <ActionFailed error={reply.error} />
    </section>
  );
}

/** @param role  null if the invitation was declined */
function Answered({ invitation, role }: { invitation: Invitation; role: Invitation['role'] | null }) {
  const { t } = useLanguage();
  const { id, name } = invitation.team;
  if (role === null) return <p className="mt-2">{t('invitations.declined', { team: name })}</p>;
  return (
    <div className="mt-2 flex flex-wrap items-center justify-between gap-x-6 gap-y-2">
      <p className="min-w-0 break-words">
        {t('invitations.accepted', { team: name, role: t(`role.${role}`) })}
      </p>
      <Link href={`/teams/${id}/billing`} className={buttonClass('secondary')}>
        {t('invitations.openTeam')}
      </Link>
    </div>
  );
}
