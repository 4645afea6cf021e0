import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { Schema } from '../data/schema.ts';
import { useTeamEvents } from '../data/team-events.ts';
import type { MyTeam } from '../data/teams.ts';
import { toMicroCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Card } from '../ui/card.tsx';
import { Figure } from '../ui/figure.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { More } from '../ui/more.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import { CallList } from './day-calls.tsx';
import { GrantShares } from './grant-shares.tsx';
import { type KeyNames, useKeyNames } from './key-names.ts';
import { ReceiptDrawer } from './receipt-drawer.tsx';
import { runQuery } from './usage-queries.ts';
import { type UsageTexts, useUsageTexts } from './usage-texts.ts';
import { useViewState } from './use-view-state.ts';
import type { ReceiptPlace } from './view-state.ts';

type Step = Schema<'RunStep'>;

/** The statement of one workflow run: what each step used, what is set aside, and which grants paid. */
export function RunPage({ team, runId }: { team: MyTeam; runId: string }) {
  useTeamEvents(team.id);
  const { t } = useLanguage();
  const [{ zone, receipt }, change] = useViewState();
  const texts = useUsageTexts(zone);
  const names = useKeyNames(team.id);
  const query = useInfiniteQuery(runQuery(team.id, runId));
  return (
    <>
      <p className="text-sm">
        <Link
          href={`/teams/${team.id}/usage?zone=${encodeURIComponent(zone)}`}
          className="text-accent underline"
        >
          {t('run.back')}
        </Link>
      </p>
      <Card title={t('usage.run', { runId })} description={t('run.text')}>
        <Loaded query={query} lines={10}>
          {({ pages }) => {
            const [run] = pages;
            if (!run) return null;
            return (
              <>
                <p className="text-2xl font-semibold">
                  <Figure title={t('usage.paidBy')} credits={run.credits}>
                    <GrantShares teamId={team.id} shares={run.grants} texts={texts} />
                  </Figure>{' '}
                  <span className="text-sm font-normal text-muted">
                    {t('credits')} · {t('usage.calls', { count: run.events })}
                  </span>
                </p>
                {run.events === 0 && run.holds.length === 0 && (
                  <p className="mt-4 rounded-lg bg-sunken p-4 text-sm">{t('run.nothing')}</p>
                )}
                <Steps
                  steps={mergeSteps(pages.flatMap(({ steps }) => steps))}
                  texts={texts}
                  names={names}
                  openReceipt={(place) => change({ receipt: place })}
                />
                <More query={query} />
                {run.holds.length > 0 && <Holds holds={run.holds} texts={texts} names={names} />}
              </>
            );
          }}
        </Loaded>
      </Card>
      <ReceiptDrawer
        teamId={team.id}
        place={receipt}
        texts={texts}
        names={names}
        close={() => change({ receipt: null }, { replace: true })}
        zone={zone}
      />
    </>
  );
}

function Steps({
  steps,
  texts,
  names,
  openReceipt,
}: {
  steps: readonly Step[];
  texts: UsageTexts;
  names: KeyNames;
  openReceipt(place: ReceiptPlace): void;
}) {
  const { t } = useLanguage();
  return steps.map(({ stepId, credits, events, receipts }) => (
    <section key={stepId ?? ''} className="mt-6 text-sm">
      <header className="flex items-baseline justify-between gap-4 border-b border-line pb-1.5">
        <h3 className="font-semibold">{stepId ?? t('run.noStep')}</h3>
        <p>
          <span className="text-muted">{t('usage.calls', { count: events })}</span>{' '}
          <span className="ms-3 font-semibold">{texts.credits(toMicroCredits(credits))}</span>
        </p>
      </header>
      <CallList calls={receipts} texts={texts} names={names} openReceipt={openReceipt} ofOneRun />
    </section>
  ));
}

function Holds({
  holds,
  texts,
  names,
}: {
  holds: readonly Schema<'HoldDetails'>[];
  texts: UsageTexts;
  names: KeyNames;
}) {
  const { t } = useLanguage();
  return (
    <section className="mt-6 text-sm">
      <h3 className="mb-1 font-semibold">{t('run.holds')}</h3>
      <Rows>
        {holds.map(({ id, action, credits, status, createdAt }) => (
          <Row
            key={id}
            name={
              <>
                {names.nameOf('action', action)} · {t(`run.hold.${status}`)}
                <span className="block text-xs">{texts.instant(createdAt)}</span>
              </>
            }
          >
            {texts.exact(toMicroCredits(credits))}
          </Row>
        ))}
      </Rows>
    </section>
  );
}

/** The steps of several pages: their sums are those of the whole run on each page, their receipts are not. */
function mergeSteps(steps: readonly Step[]): Step[] {
  const merged = new Map<string | null, Step>();
  for (const step of steps) {
    const known = merged.get(step.stepId);
    merged.set(step.stepId, known ? { ...step, receipts: [...known.receipts, ...step.receipts] } : step);
  }
  return [...merged.values()];
}
