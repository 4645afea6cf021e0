import { useQuery } from '@tanstack/react-query';
import type { Schema } from '../data/schema.ts';
import { toMicroCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import type { BurnDownDay } from './burn-down.ts';
import type { DayRange } from './range.ts';
import { changesQuery } from './usage-queries.ts';
import type { UsageTexts } from './usage-texts.ts';

/** What changed the balance on a day: each transfer that is not usage, the usage, and the balance before and after. */
export function BalanceDayDialog({
  teamId,
  range,
  zone,
  day,
  texts,
  close,
}: {
  teamId: string;
  range: DayRange;
  zone: string;
  day: BurnDownDay | null;
  texts: UsageTexts;
  close(): void;
}) {
  return (
    <Dialog title={day ? texts.longDay(day.day) : ''} isOpen={day !== null} onClose={close}>
      {day && <Changes teamId={teamId} range={range} zone={zone} day={day} texts={texts} />}
    </Dialog>
  );
}

function Changes({
  teamId,
  range,
  zone,
  day,
  texts,
}: {
  teamId: string;
  range: DayRange;
  zone: string;
  day: BurnDownDay;
  texts: UsageTexts;
}) {
  const { t } = useLanguage();
  const query = useQuery(changesQuery(teamId, { day: day.day, range, zone }));
  const before = day.balance - day.cameIn + day.used + day.expired + day.takenBack;
  return (
    <Loaded query={query} lines={5}>
      {(changes) => {
        const listed = changes.reduce((sum, change) => sum + signed(change), 0n);
        // Credits of a hold that ended after its grant had expired.
        const ofHolds = day.balance - before + day.used - listed;
        return (
          <Rows>
            <Row name={t('burnDown.before')}>{texts.exact(before)}</Row>
            {changes.toReversed().map((change) => (
              <Row
                key={change.id}
                name={
                  <>
                    {t(`burnDown.kind.${kindOf(change)}`, { source: t(`source.${change.source}`) })}
                    <span className="block text-xs">{texts.time(change.at)}</span>
                  </>
                }
              >
                {texts.signed(signed(change))}
              </Row>
            ))}
            {ofHolds !== 0n && <Row name={t('burnDown.ofHolds')}>{texts.signed(ofHolds)}</Row>}
            <Row name={t('burnDown.used')}>{texts.signed(-day.used)}</Row>
            <Row name={t('burnDown.after')} isTotal>
              {texts.exact(day.balance)}
            </Row>
          </Rows>
        );
      }}
    </Loaded>
  );
}

type Transfer = Schema<'Transfer'>;

/** In micro-credits: what came to the team's balance is positive. */
function signed({ to, credits }: Transfer): bigint {
  const amount = toMicroCredits(credits);
  return to === 'available' ? amount : -amount;
}

function kindOf({ kind, to }: Transfer) {
  switch (kind) {
    case 'grant':
    case 'expire':
    case 'reinstate':
    case 'adjust':
    case 'forfeit':
      return kind;
    case 'clawback':
      return to === 'available' ? 'clawbackReversed' : 'clawback';
    case 'settle':
      return to === 'available' ? 'settleReversed' : 'settle';
    case 'spend':
    case 'hold':
    case 'capture':
    case 'release':
      throw new RangeError(`a transfer of kind ${kind} was not requested`);
  }
}
