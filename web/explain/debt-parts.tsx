import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import type { Schema } from '../data/schema.ts';
import { catalogQuery, debtsQuery } from '../data/team-queries.ts';
import { formatCredits, isZero } from '../format/credits.ts';
import { formatDay } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import type { Translate } from '../i18n/text.ts';
import { HelpLink } from '../ui/help-link.tsx';
import { LoadedList } from '../ui/loaded-list.tsx';
import { Row, Rows } from '../ui/rows.tsx';

/** What the team owes: for which order, since when, how much of it is paid and how much is left. */
export function DebtParts({ teamId }: { teamId: string }) {
  const { t, locale } = useLanguage();
  const query = useInfiniteQuery(debtsQuery(teamId));
  const catalog = useQuery(catalogQuery);
  const products = [...(catalog.data?.plans ?? []), ...(catalog.data?.packs ?? [])];
  const nameOf = (key: string | null) => products.find((one) => one.key === key)?.name ?? key ?? '';
  return (
    <>
      <p className="mb-2 flex items-center gap-2 text-sm text-muted">
        {t('explain.debt')} <HelpLink guide="one-time-purchases" anchor="refunds" />
      </p>
      <LoadedList query={query}>
        {(debts) => (
          <Rows>
            {debts.map((debt) => (
              <Row
                key={`${debt.createdAt} ${debt.orders.map(({ id }) => id).join(' ')}`}
                name={<DebtName debt={debt} nameOf={nameOf} t={t} locale={locale} />}
              >
                {formatCredits(debt.outstanding, locale)}
              </Row>
            ))}
          </Rows>
        )}
      </LoadedList>
    </>
  );
}

function DebtName({
  debt: { cycle, orders, owed, settled, createdAt },
  nameOf,
  t,
  locale,
}: {
  debt: Schema<'Debt'>;
  nameOf(product: string | null): string;
  t: Translate;
  locale: string;
}) {
  const day = (instant: string) => formatDay(instant, locale);
  return (
    <>
      {orders.map(({ id, product, paidAt }) => (
        <span key={id} className="block text-ink">
          {paidAt === null
            ? nameOf(product)
            : t('explain.debtOrder', { product: nameOf(product), date: day(paidAt) })}
        </span>
      ))}
      {cycle && <span className="block">{t('explain.debtCycle', { date: day(cycle.start) })}</span>}
      <span className="block">
        {t('explain.debtSince', { date: day(createdAt), credits: formatCredits(owed, locale) })}
        {!isZero(settled) && ` ${t('explain.debtSettled', { credits: formatCredits(settled, locale) })}`}
      </span>
    </>
  );
}
