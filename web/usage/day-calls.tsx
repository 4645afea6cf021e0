import { useInfiniteQuery } from '@tanstack/react-query';
import { toMicroCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { LoadedList } from '../ui/loaded-list.tsx';
import type { KeyNames } from './key-names.ts';
import type { LocalDay } from './local-days.ts';
import type { DayRange } from './range.ts';
import { callsQuery, type UsageEvent } from './usage-queries.ts';
import type { UsageTexts } from './usage-texts.ts';
import type { Filters, ReceiptPlace } from './view-state.ts';

/** The calls of a day, newest first. Each opens its receipt. */
export function DayCalls({
  teamId,
  scope,
  texts,
  names,
  openReceipt,
}: {
  teamId: string;
  scope: { day: LocalDay; range: DayRange; zone: string; filters: Filters };
  texts: UsageTexts;
  names: KeyNames;
  openReceipt(place: ReceiptPlace): void;
}) {
  const query = useInfiniteQuery(callsQuery(teamId, scope));
  return (
    <LoadedList query={query} lines={4}>
      {(calls) => <CallList calls={calls} texts={texts} names={names} openReceipt={openReceipt} />}
    </LoadedList>
  );
}

/** Calls as a list; each opens its receipt. */
export function CallList({
  calls,
  texts,
  names,
  openReceipt,
  ofOneRun = false,
}: {
  calls: readonly UsageEvent[];
  texts: UsageTexts;
  names: KeyNames;
  openReceipt(place: ReceiptPlace): void;
  /** All calls belong to the run that the page shows. They may be of several days. */
  ofOneRun?: boolean;
}) {
  const { t } = useLanguage();
  if (calls.length === 0) return <p className="py-2 text-sm text-muted">{t('usage.noCalls')}</p>;
  return (
    <ul className="divide-y divide-line">
      {calls.map((call) => {
        const details = [
          call.memberId === null ? null : names.nameOf('member', call.memberId),
          call.apiKeyId,
          call.runId === null || ofOneRun ? null : t('usage.run', { runId: call.runId }),
        ].filter((detail) => detail !== null);
        return (
          <li key={call.id}>
            <button
              type="button"
              onClick={() => openReceipt({ id: call.id, at: call.occurredAt })}
              className="grid w-full grid-cols-[auto_1fr_auto] items-baseline gap-x-3 rounded px-1 py-1.5 text-start hover:bg-surface sm:grid-cols-[auto_minmax(8rem,auto)_1fr_auto]"
            >
              {/* On a phone: what and how much, and below it when and who. */}
              <time
                dateTime={call.occurredAt}
                className="row-start-2 text-xs text-muted sm:row-start-1 sm:text-sm"
              >
                {ofOneRun ? texts.instant(call.occurredAt) : texts.time(call.occurredAt)}
              </time>
              <span className="col-span-2 truncate sm:col-span-1">{names.nameOf('action', call.action)}</span>
              <span className="col-span-2 col-start-2 row-start-2 truncate text-xs text-muted sm:col-span-1 sm:col-start-3 sm:row-start-1">
                {details.join(' · ')}
              </span>
              <span className="text-end font-medium underline decoration-outline decoration-dotted underline-offset-2 sm:col-start-4">
                {texts.credits(toMicroCredits(call.credits))}
              </span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
