import { useQuery } from '@tanstack/react-query';
import { Dialog as AriaDialog, Button, Heading, Modal, ModalOverlay } from 'react-aria-components';
import { Link } from 'wouter';
import { toMicroCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import type { UsageTexts } from './day-texts.ts';
import { GrantShares } from './grant-shares.tsx';
import type { KeyNames } from './key-names.ts';
import { receiptQuery, type UsageEvent } from './usage-queries.ts';
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
    <ModalOverlay
      isOpen={place !== null}
      onOpenChange={(open) => !open && close()}
      isDismissable
      className="fixed inset-0 z-20 flex justify-end bg-backdrop"
    >
      <Modal className="h-dvh w-full overflow-y-auto bg-surface shadow-2xl sm:max-w-md">
        <AriaDialog className="p-6 outline-none">
          <div className="mb-4 flex items-center justify-between">
            <Heading slot="title" className="text-lg font-semibold">
              {t('usage.receipt')}
            </Heading>
            <Button
              slot="close"
              aria-label={t('state.close')}
              className="rounded-lg px-2.5 py-1 text-lg text-muted hover:bg-sunken hover:text-ink"
            >
              <span aria-hidden>×</span>
            </Button>
          </div>
          {place && <ReceiptContents teamId={teamId} place={place} zone={zone} texts={texts} names={names} />}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
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
  const { t } = useLanguage();
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
              <th scope="col" className="py-1 ps-3 text-end font-medium">
                {t('usage.quantity')}
              </th>
              <th scope="col" className="py-1 ps-3 text-end font-medium">
                {t('usage.unitPrice')}
              </th>
              <th scope="col" className="py-1 ps-3 text-end font-medium">
                {t('usage.credits')}
              </th>
            </tr>
          </thead>
          <tbody>
            {call.lines.map(({ meter, quantity, unitPrice, credits }) => (
              <tr key={meter}>
                <th scope="row" className="border-t border-line py-1.5 text-start font-normal break-words">
                  {meter.replaceAll('_', ' ')}
                </th>
                <td className="border-t border-line py-1.5 ps-3 text-end">{texts.decimal(quantity)}</td>
                <td className="border-t border-line py-1.5 ps-3 text-end text-muted">
                  {texts.decimal(unitPrice)}
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
