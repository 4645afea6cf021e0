import { useInfiniteQuery, useMutation } from '@tanstack/react-query';
import { billing } from '../data/billing.ts';
import type { Schema } from '../data/schema.ts';
import { invoicesQuery } from '../data/team-queries.ts';
import { type MyTeam, mayManageBilling } from '../data/teams.ts';
import { formatDay } from '../format/dates.ts';
import { formatMoney } from '../format/money.ts';
import { useLanguage } from '../i18n/language.tsx';
import type { Translate } from '../i18n/text.ts';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button } from '../ui/button.tsx';
import { Card } from '../ui/card.tsx';
import { LoadedList } from '../ui/loaded-list.tsx';
import { ManageBilling } from './manage-billing.tsx';
import { WhoMay } from './who-may.tsx';

/** The team's orders at Polar, newest first, with their invoices. */
export function InvoicesCard({ team }: { team: MyTeam }) {
  const { t } = useLanguage();
  const may = mayManageBilling(team);
  return (
    <Card
      title={t('invoices.title')}
      help={{ guide: 'billing-portal' }}
      actions={may && <ManageBilling team={team} />}
    >
      {may ? <Invoices team={team} /> : <WhoMay team={team} what={t('invoices.askWhat')} />}
    </Card>
  );
}

function Invoices({ team }: { team: MyTeam }) {
  const { t } = useLanguage();
  const query = useInfiniteQuery(invoicesQuery(team.id));
  return (
    <LoadedList query={query} lines={4}>
      {(invoices) => {
        if (invoices.length === 0) return <p className="text-sm text-muted">{t('invoices.none')}</p>;
        return (
          <ul className="divide-y divide-line text-sm">
            {invoices.map((invoice) => (
              <InvoiceRow key={invoice.id} teamId={team.id} invoice={invoice} />
            ))}
          </ul>
        );
      }}
    </LoadedList>
  );
}

function InvoiceRow({ teamId, invoice }: { teamId: string; invoice: Schema<'Invoice'> }) {
  const { t, locale } = useLanguage();
  const open = useMutation({
    mutationFn: () =>
      billing.GET('/v1/teams/{teamId}/invoices/{orderId}', {
        params: { path: { teamId, orderId: invoice.id } },
      }),
    onSuccess: ({ url }) => window.open(url, '_blank', 'noopener'),
  });
  const { description, number, createdAt, totalAmount, currency } = invoice;
  return (
    <li className="py-2.5">
      <div className="flex items-center gap-x-3">
        <span className="min-w-0 flex-1">
          <span className="font-medium">{description}</span>
          <span className="block text-muted">
            {[formatDay(createdAt, locale), number].filter((one) => one !== null).join(' · ')}
          </span>
        </span>
        <span className="text-end">
          {formatMoney(totalAmount, currency, locale)}
          <span className="block text-muted">{describeInvoice(invoice, t, locale)}</span>
        </span>
        <Button
          look="quiet"
          aria-label={t('invoices.openOf', { name: number ?? description })}
          isPending={open.isPending}
          onPress={() => open.mutate()}
        >
          {t('invoices.open')}
        </Button>
      </div>
      <ActionFailed error={open.error} />
    </li>
  );
}

function describeInvoice(invoice: Schema<'Invoice'>, t: Translate, locale: string): string {
  const { refundedAmount, totalAmount, currency, paid } = invoice;
  if (refundedAmount > 0 && refundedAmount >= totalAmount) return t('invoices.refunded');
  if (refundedAmount > 0)
    return t('invoices.partlyRefunded', { amount: formatMoney(refundedAmount, currency, locale) });
  return paid ? t('invoices.paid') : t('invoices.due');
}
