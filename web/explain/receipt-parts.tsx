import { useInfiniteQuery } from '@tanstack/react-query';
import { type UsageFilter, usageEventsQuery } from '../data/team-queries.ts';
import { formatCredits } from '../format/credits.ts';
import { formatInstant } from '../format/dates.ts';
import { formatDecimal } from '../format/number-format.ts';
import { useLanguage } from '../i18n/language.tsx';
import { LoadedList } from '../ui/loaded-list.tsx';
import { Row, Rows } from '../ui/rows.tsx';

/** Calls with the lines of their receipts, newest first: quantity, unit price, and the version of the prices. */
export function ReceiptParts({
  teamId,
  filter,
}: {
  teamId: string;
  filter: UsageFilter & { action: string };
}) {
  const { t, locale } = useLanguage();
  const query = useInfiniteQuery(usageEventsQuery(teamId, filter));
  return (
    <LoadedList query={query}>
      {(calls) => (
        <Rows>
          {calls.map(({ id, occurredAt, credits, lines, priceVersion }) => (
            <Row
              key={id}
              name={
                <>
                  {formatInstant(occurredAt, locale)} ·{' '}
                  {t('explain.priceVersion', { version: String(priceVersion) })}
                  {lines.map((line) => (
                    <span key={line.meter} className="block">
                      {t('explain.line', {
                        meter: line.meter.replaceAll('_', ' '),
                        quantity: formatDecimal(line.quantity, locale),
                        unitPrice: formatDecimal(line.unitPrice, locale),
                      })}
                    </span>
                  ))}
                </>
              }
            >
              {formatCredits(credits, locale)}
            </Row>
          ))}
        </Rows>
      )}
    </LoadedList>
  );
}
