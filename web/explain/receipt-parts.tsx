import { useInfiniteQuery } from '@tanstack/react-query';
import { type UsageFilter, usageEventsQuery } from '../data/team-queries.ts';
import { formatCredits } from '../format/credits.ts';
import { formatInstant } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { More } from '../ui/more.tsx';
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
    <>
      <Loaded query={query} lines={3}>
        {({ pages }) => (
          <Rows>
            {pages
              .flatMap(({ data }) => data)
              .map(({ id, occurredAt, credits, lines, priceVersion }) => (
                <Row
                  key={id}
                  name={
                    <>
                      {formatInstant(occurredAt, locale)} ·{' '}
                      {t('explain.priceVersion', { version: priceVersion })}
                      {lines.map((line) => (
                        <span key={line.meter} className="block">
                          {t('explain.line', {
                            meter: line.meter,
                            quantity: formatCredits(line.quantity, locale),
                            unitPrice: line.unitPrice,
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
      </Loaded>
      <More query={query} />
    </>
  );
}
