import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useId, useMemo, useState } from 'react';
import { readersTimezone, useLanguage } from '../i18n/language.tsx';
import { Button } from '../ui/button.tsx';
import { columnName } from './key-names.ts';
import { addDays, daysBetween, isLocalDay, type LocalDay } from './local-days.ts';
import { type DayRange, longestRangeDays, presets } from './range.ts';
import { tagNamesQuery } from './usage-queries.ts';
import { columns, type GroupKey, parseGroupKey, type ViewState } from './view-state.ts';

/** Range, grouping and time zone. */
export function UsageToolbar({
  teamId,
  state,
  range,
  hasCycle,
  change,
}: {
  teamId: string;
  state: ViewState;
  range: DayRange;
  /** Without a subscription, the cycle is the calendar month. */
  hasCycle: boolean;
  change(part: Partial<ViewState>): void;
}) {
  const { t } = useLanguage();
  const tags = useQuery(tagNamesQuery(teamId)).data ?? [];
  const tagKeys = new Set<GroupKey>(tags.map((name): GroupKey => `tag:${name}`));
  if (state.groupBy.startsWith('tag:')) tagKeys.add(state.groupBy);
  const [isChoosing, setChoosing] = useState(false);
  const isOwn = state.range.kind === 'own' || isChoosing;
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-end gap-x-4 gap-y-3">
        <Choice
          label={t('usage.range')}
          value={isOwn ? 'own' : state.range.kind}
          choose={(value) => {
            const preset = presets.find((one) => one === value);
            setChoosing(preset === undefined);
            if (preset) change({ range: { kind: preset }, day: null });
          }}
        >
          {presets.map((preset) => (
            <option key={preset} value={preset}>
              {preset === 'cycle' && !hasCycle ? t('usage.range.month') : t(`usage.range.${preset}`)}
            </option>
          ))}
          <option value="own">{t('usage.range.own')}</option>
        </Choice>
        <Choice
          label={t('usage.groupBy')}
          value={state.groupBy}
          choose={(value) => change({ groupBy: parseGroupKey(value) ?? 'model' })}
        >
          {[...columns, ...tagKeys].map((column) => (
            <option key={column} value={column}>
              {columnName(column, t)}
            </option>
          ))}
        </Choice>
        <ZoneChoice zone={state.zone} choose={(zone) => change({ zone })} />
      </div>
      {isOwn && (
        <OwnRange
          key={`${range.first} ${range.last}`}
          first={range.first}
          last={range.last}
          apply={(first, last) => {
            setChoosing(false);
            change({ range: { kind: 'own', first, last }, day: null });
          }}
        />
      )}
    </div>
  );
}

function OwnRange({
  first,
  last,
  apply,
}: {
  first: LocalDay;
  last: LocalDay;
  apply(first: LocalDay, last: LocalDay): void;
}) {
  const { t } = useLanguage();
  const [from, setFrom] = useState(first);
  const [to, setTo] = useState(last);
  const problem =
    !isLocalDay(from) || !isLocalDay(to)
      ? t('usage.range.needsDays')
      : from > to
        ? t('usage.range.reversed')
        : daysBetween(from, to) >= longestRangeDays
          ? t('usage.range.tooLong', { count: longestRangeDays })
          : null;
  return (
    <form
      className="flex flex-wrap items-end gap-x-4 gap-y-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (problem === null) apply(from, to);
      }}
    >
      <DayField label={t('usage.range.first')} value={from} change={setFrom} />
      <DayField label={t('usage.range.last')} value={to} change={setTo} />
      <Button type="submit" isDisabled={problem !== null}>
        {t('usage.range.show')}
      </Button>
      <p role="status" className="basis-full text-sm text-danger empty:hidden">
        {problem}
      </p>
    </form>
  );
}

function DayField({ label, value, change }: { label: string; value: string; change(day: string): void }) {
  const id = useId();
  return (
    <div>
      <label htmlFor={id} className="mb-1 block text-xs text-muted">
        {label}
      </label>
      <input
        id={id}
        type="date"
        required
        min="2000-01-01"
        max={addDays(new Date().toISOString().slice(0, 10), 400)}
        value={value}
        onChange={(event) => change(event.target.value)}
        className={fieldClass}
      />
    </div>
  );
}

function ZoneChoice({ zone, choose }: { zone: string; choose(zone: string): void }) {
  const { t } = useLanguage();
  const own = readersTimezone();
  const others = useMemo(() => Intl.supportedValuesOf('timeZone').filter((name) => name.includes('/')), []);
  const first = [...new Set([zone, own, 'UTC'])];
  return (
    <Choice label={t('usage.zone')} value={zone} choose={choose}>
      {first.map((name) => (
        <option key={name} value={name}>
          {inWords(name)}
        </option>
      ))}
      <hr />
      {others
        .filter((name) => !first.includes(name))
        .map((name) => (
          <option key={name} value={name}>
            {inWords(name)}
          </option>
        ))}
    </Choice>
  );
}

function Choice({
  label,
  value,
  choose,
  children,
}: {
  label: string;
  value: string;
  choose(value: string): void;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <div className="w-40 sm:w-44">
      <label htmlFor={id} className="mb-1 block text-xs text-muted">
        {label}
      </label>
      <select id={id} value={value} onChange={(event) => choose(event.target.value)} className={fieldClass}>
        {children}
      </select>
    </div>
  );
}

const fieldClass =
  'h-9 w-full rounded-lg border border-outline bg-surface px-2.5 text-sm text-ink hover:bg-sunken';

function inWords(zone: string): string {
  return zone.replaceAll('_', ' ');
}
