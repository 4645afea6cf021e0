import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { toMicroCredits } from '../format/credits.ts';
import { formatDecimal } from '../format/number-format.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import { GrantShares } from './grant-shares.tsx';
import type { KeyNames } from './key-names.ts';
import { receiptQuery, type UsageEvent } from './usage-queries.ts';
import type { UsageTexts } from './usage-texts.ts';
import type { ReceiptPlace } from './view-state.ts';

/** One call's receipt: its lines with quantities and unit prices, the price version, and the grants that paid. */
export function ReceiptDrawer({
  teamId,
  place,
  zone,
  texts,
  names,
  close,
}: {
  teamId: string;
  place: ReceiptPlace | null;
  zone: string;
  texts: UsageTexts;
  names: KeyNames;
  close(): void;
}) {
  const { t } = useLanguage();
  return (
    <Dialog title={t('usage.receipt')} isOpen={place !== null} onClose={close} isDrawer>
      {place && <ReceiptContents teamId={teamId} place={place} zone={zone} texts={texts} names={names} />}
    </Dialog>
  );
}

function ReceiptContents({
  teamId,
  place,
  zone,
  texts,
  names,
}: {
  teamId: string;
  place: ReceiptPlace;
  zone: string;
  texts: UsageTexts;
  names: KeyNames;
}) {
  const { t } = useLanguage();
  const query = useQuery(receiptQuery(teamId, place));
  return (
    <Loaded query={query} lines={8}>
      {(call) =>
        call === null ? (
          <p className="text-sm text-muted">{t('usage.noReceipt')}</p>
        ) : (
          <Receipt teamId={teamId} call={call} zone={zone} texts={texts} names={names} />
        )
      }
    </Loaded>
  );
}

function Receipt({
  teamId,
  call,
  zone,
  texts,
  names,
}: {
  teamId: string;
  call: UsageEvent;
  zone: string;
  texts: UsageTexts;
  names: KeyNames;
}) {
  const { t, locale } = useLanguage();
  const exact = (decimal: string) => texts.exact(toMicroCredits(decimal));
  return (
    <div className="flex flex-col gap-6 text-sm">
      <p className="text-2xl font-semibold">
        {exact(call.credits)} <span className="text-sm font-normal text-muted">{t('credits')}</span>
        <span className="mt-0.5 block text-sm font-normal text-muted">
          {names.nameOf('action', call.action)} · {texts.instant(call.occurredAt)}
        </span>
      </p>
      <section>
        <h3 className="mb-1 font-semibold">{t('usage.lines')}</h3>
        <table className="w-full">
          <thead>
            <tr className="text-xs text-muted">
              <th scope="col" className="py-1 text-start font-medium">
                {t('usage.meter')}
              </th>
              {(['quantity', 'unitPrice', 'credits'] as const).map((column) => (
                <th key={column} scope="col" className="py-1 ps-3 text-end font-medium">
                  {t(`usage.${column}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {call.lines.map(({ meter, quantity, unitPrice, credits }) => (
              <tr key={meter}>
                <th scope="row" className="border-t border-line py-1.5 text-start font-normal break-words">
                  {meter.replaceAll('_', ' ')}
                </th>
                <td className="border-t border-line py-1.5 ps-3 text-end">
                  {formatDecimal(quantity, locale)}
                </td>
                <td className="border-t border-line py-1.5 ps-3 text-end text-muted">
                  {formatDecimal(unitPrice, locale)}
                </td>
                <td className="border-t border-line py-1.5 ps-3 text-end font-medium">{exact(credits)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <p className="mt-2 text-muted">{t('usage.priceVersion', { version: String(call.priceVersion) })}</p>
      </section>
      <section>
        <h3 className="mb-1 font-semibold">{t('usage.paidBy')}</h3>
        <GrantShares teamId={teamId} shares={call.grants} texts={texts} />
      </section>
      <section>
        <h3 className="mb-1 font-semibold">{t('usage.details')}</h3>
        <Rows>
          <Row name={t('usage.column.member')}>
            {call.memberId === null ? t('usage.none.member') : names.nameOf('member', call.memberId)}
          </Row>
          <Row name={t('usage.column.key')}>{call.apiKeyId ?? t('usage.none.key')}</Row>
          <Row name={t('usage.column.run')}>
            {call.runId === null ? (
              t('usage.none.run')
            ) : (
              <Link
                href={`/teams/${teamId}/usage/runs/${encodeURIComponent(call.runId)}?zone=${encodeURIComponent(zone)}`}
                className="text-accent underline"
              >
                {call.runId}
              </Link>
            )}
          </Row>
          {call.stepId !== null && <Row name={t('usage.step')}>{call.stepId}</Row>}
          {Object.entries(call.tags).map(([name, value]) => (
            <Row key={name} name={t('usage.tag', { name })}>
              {value}
            </Row>
          ))}
          {call.holdId !== null && (
            <Row name={t('usage.hold')}>
              <span className="break-all">{call.holdId}</span>
            </Row>
          )}
          <Row name={t('usage.balanceAfter')}>{exact(call.balance.available)}</Row>
          <Row name={t('usage.receiptId')}>
            <span className="break-all">{call.id}</span>
          </Row>
        </Rows>
      </section>
    </div>
  );
}
