import { useMutation, useQueryClient } from '@tanstack/react-query';
import { billing } from '../data/billing.ts';
import type { Schema } from '../data/schema.ts';
import { limitsQuery } from '../data/team-queries.ts';
import { type MyTeam, mayManageMembers } from '../data/teams.ts';
import { UsageParts } from '../explain/usage-parts.tsx';
import { formatCredits, isZero, sumCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button } from '../ui/button.tsx';
import { Choice } from '../ui/choice.tsx';
import { Figure } from '../ui/figure.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import { Saved } from '../ui/saved.tsx';
import { TextField } from '../ui/text-field.tsx';
import { useStateOf } from '../ui/use-state-of.ts';
import { parseCredits } from './thresholds.ts';

type Limit = Schema<'Limit'>;
const periods = ['day', 'month', 'cycle'] as const;

export interface UsedThisMonth {
  credits: string;
  /** The start of the month. */
  since: string;
}

interface LimitFormProps {
  team: MyTeam;
  subject: Limit['subject'];
  name: string;
  limit: Limit | undefined;
}

export interface LimitRowProps extends LimitFormProps {
  /** Shown if there is no limit, so that one can be chosen; undefined: unknown. */
  used: UsedThisMonth | undefined;
}

/** One member's or key's limit and what is used of it. An empty field means no limit. */
export function LimitRow({ team, subject, name, limit, used }: LimitRowProps) {
  const { t, locale } = useLanguage();
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 py-3">
      <span className="min-w-0 flex-1 basis-40 text-sm">
        <span className="font-medium">{name}</span>
        <span className="block text-muted">
          {limit && <UsedOfLimit team={team} limit={limit} />}
          {!limit && t('limits.unlimited')}
          {!limit && used && (
            <>
              {' · '}
              <Figure credits={used.credits} title={t('limits.usedMonth')}>
                <UsageParts teamId={team.id} filter={{ from: used.since, [subject.kind]: subject.id }} />
              </Figure>{' '}
              {t('limits.since.month')}
            </>
          )}
        </span>
      </span>
      {mayManageMembers(team) ? (
        <LimitForm team={team} subject={subject} name={name} limit={limit} />
      ) : (
        <span className="text-sm">
          {limit && t(`limits.per.${limit.per}`, { credits: formatCredits(limit.credits, locale) })}
        </span>
      )}
    </li>
  );
}

function UsedOfLimit({ team, limit }: { team: MyTeam; limit: Limit }) {
  const { t, locale } = useLanguage();
  const { subject, consumed, held, windowStart } = limit;
  return (
    <>
      <Figure credits={sumCredits([consumed, held])} title={t('limits.used')}>
        <UsageParts teamId={team.id} filter={{ from: windowStart, [subject.kind]: subject.id }} />
        {!isZero(held) && (
          <Rows>
            <Row name={t('balance.held')}>{formatCredits(held, locale)}</Row>
          </Rows>
        )}
      </Figure>{' '}
      {t(`limits.since.${limit.per}`)}
    </>
  );
}

function LimitForm({ team, subject, name, limit }: LimitFormProps) {
  const { t, locale } = useLanguage();
  const queryClient = useQueryClient();
  // A saved limit, also one of somebody else, starts the form anew.
  const [{ text, per }, setTerms] = useStateOf<{ text: string; per: Limit['per'] }>(
    `${limit?.credits} ${limit?.per}`,
    () => ({ text: limit ? formatCredits(limit.credits, locale) : '', per: limit?.per ?? 'month' }),
  );
  const isEmpty = text.trim() === '';
  const credits = parseCredits(text, locale);
  const isChanged = isEmpty ? limit !== undefined : credits !== limit?.credits || per !== limit?.per;
  const save = useMutation({
    mutationFn: () => saveLimit(team.id, subject, isEmpty || credits === undefined ? null : { credits, per }),
    onSettled: () => queryClient.invalidateQueries({ queryKey: limitsQuery(team.id).queryKey }),
  });
  return (
    <form
      className="flex flex-wrap items-center gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <TextField
        label={t('limits.field', { name })}
        hidesLabel
        value={text}
        onChange={(changed) => setTerms({ text: changed, per })}
        error={isEmpty || credits !== undefined ? undefined : t('limits.invalid')}
      />
      <Choice
        label={t('limits.period', { name })}
        value={per}
        onChange={(changed) => setTerms({ text, per: changed })}
        options={periods.map((value) => ({ value, text: t(`limits.every.${value}`) }))}
      />
      {/* One is shown in the place of the other, so nothing moves. */}
      <span className="grid items-center justify-items-center *:col-start-1 *:row-start-1">
        <Button
          type="submit"
          aria-label={t('limits.saveOf', { name })}
          isPending={save.isPending}
          isHidden={!isChanged}
          isDisabled={!isEmpty && credits === undefined}
        >
          {t('state.save')}
        </Button>
        <Saved isShown={save.isSuccess && !isChanged} />
      </span>
      <ActionFailed error={save.error} />
    </form>
  );
}

/** @param terms  null removes the limit */
async function saveLimit(
  teamId: string,
  { kind, id }: Limit['subject'],
  terms: { credits: string; per: Limit['per'] } | null,
): Promise<void> {
  if (kind === 'member') {
    const params = { path: { teamId, memberId: id } };
    if (terms) await billing.PUT('/v1/teams/{teamId}/limits/members/{memberId}', { params, body: terms });
    else await billing.DELETE('/v1/teams/{teamId}/limits/members/{memberId}', { params });
  } else {
    const params = { path: { teamId, apiKeyId: id } };
    if (terms) await billing.PUT('/v1/teams/{teamId}/limits/keys/{apiKeyId}', { params, body: terms });
    else await billing.DELETE('/v1/teams/{teamId}/limits/keys/{apiKeyId}', { params });
  }
}
