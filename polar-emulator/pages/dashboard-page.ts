import { type Emulator, organizationOf } from '../emulator.ts';
import type { Faults } from '../faults.ts';
import type { OrderRecord, SubscriptionRecord, WebhookEventRecord } from '../records.ts';
import { isActive } from '../wire.ts';
import { badge, button, type Html, html, moment, money, page } from './html.ts';

const mostRowsShown = 50;

/** The emulator's front page: every object, with a button for each action on it. */
export function dashboardPage(emulator: Emulator, faults: Faults): string {
  const { store } = emulator;
  const newest = <R>(rows: R[]) => rows.slice(-mostRowsShown).reverse();
  const deliveries = newest(store.events.all());
  return page(
    'Polar emulator',
    html`<main>
      <h1>Polar emulator</h1>
      <p class="soft">
        For development and tests. ${moment(emulator.now().toISOString())} UTC · a customer’s plan change in the
        portal is billed by <code>${organizationOf(emulator).proration_behavior}</code>
      </p>
      ${section(
        'Subscriptions',
        ['Customer', 'Plan', 'Status', 'Period (UTC)', ''],
        newest(store.subscriptions.all()).map((record) => subscriptionRow(emulator, record)),
      )}
      ${section(
        'Orders',
        ['Customer', 'For', 'Status', 'Amount', 'Created (UTC)', ''],
        newest(store.orders.all()).map((record) => orderRow(emulator, record)),
      )}
      ${section(
        'Refunds and disputes',
        ['What', 'Status', 'Amount', 'Created (UTC)', ''],
        [
          ...newest(store.refunds.all()).map(
            (refund) =>
              html`<tr><td>Refund: ${refund.reason.replaceAll('_', ' ')}</td><td>${badge(refund.status)}</td>
                <td>${money(refund.amount)}</td><td>${moment(refund.created_at)}</td>
                <td>${refund.status === 'succeeded' && button(`/emulator/refunds/${refund.id}/reverse`, 'Reverse')}</td></tr>`,
          ),
          ...newest(store.disputes.all()).map(
            (dispute) =>
              html`<tr><td>Dispute</td><td>${badge(dispute.status)}</td><td>${money(dispute.amount)}</td>
                <td>${moment(dispute.created_at)}</td>
                <td>${
                  !dispute.closed &&
                  html`${button(`/emulator/disputes/${dispute.id}/win`, 'Win')}
                  ${button(`/emulator/disputes/${dispute.id}/lose`, 'Lose')}`
                }</td></tr>`,
          ),
        ],
      )}
      ${section(
        'Customers',
        ['Name', 'External id', 'E-mail', 'Card', ''],
        newest(store.customers.all()).map(
          ({ id, wire, card_declines }) =>
            html`<tr><td>${wire.name}</td><td><code>${wire.external_id}</code></td><td>${wire.email ?? '–'}</td>
              <td>${wire.deleted_at ? 'deleted' : card_declines ? 'declines' : 'works'}</td>
              <td>${
                !wire.deleted_at &&
                button(`/emulator/customers/${id}/card`, card_declines ? 'Let it work' : 'Let it decline', {
                  declines: String(!card_declines),
                })
              }</td></tr>`,
        ),
      )}
      ${section(
        'Open checkouts',
        ['Product', 'Amount', 'Expires (UTC)', ''],
        newest(store.checkouts.all().filter(({ wire }) => wire.status === 'open')).map(
          ({ id, wire }) =>
            html`<tr><td>${emulator.store.products.demand(wire.product_id ?? '').name}</td>
              <td>${money(wire.total_amount)}</td><td>${moment(wire.expires_at)}</td>
              <td><a href="/checkout/${id}">Open</a></td></tr>`,
        ),
      )}
      ${section(
        'Webhook endpoints',
        ['URL', 'Events', 'Enabled'],
        store.endpoints.all().map(
          ({ url, events, enabled }) =>
            html`<tr><td><code>${url}</code></td><td>${events.length}</td>
              <td>${badge(enabled ? 'active' : 'failed')}</td></tr>`,
        ),
      )}
      ${section('Webhooks', ['Type', 'Status', 'Attempts', 'Created (UTC)', ''], deliveries.map(webhookRow))}
      ${faultsSection(faults)}
    </main>`,
  );
}

function section(title: string, columns: string[], rows: Html[]): Html {
  const body =
    rows.length > 0
      ? html`<table><tr>${columns.map((column) => html`<th>${column}</th>`)}</tr>${rows}</table>`
      : html`<table><tr><td class="soft">None yet</td></tr></table>`;
  return html`<h2>${title}</h2><div class="card scroll">${body}</div>`;
}

function subscriptionRow(emulator: Emulator, { id, wire, failing_payments }: SubscriptionRecord): Html {
  const act = (name: string, label: string, kind: 'plain' | 'danger' = 'plain') =>
    button(`/emulator/subscriptions/${id}/${name}`, label, {}, kind);
  const running = isActive(wire.status);
  return html`<tr>
    <td>${nameOf(emulator, wire.customer_id)}</td>
    <td>${emulator.store.products.demand(wire.product_id).name}</td>
    <td>${badge(wire.status)} ${wire.cancel_at_period_end && running && html`<span class="soft">ends</span>`}</td>
    <td>${moment(wire.current_period_start)} –<br>${moment(wire.current_period_end)}</td>
    <td>
      ${running && act('renew-now', 'Renew now')}
      ${running && (wire.cancel_at_period_end ? act('uncancel', 'Uncancel') : act('cancel', 'Cancel'))}
      ${running && (failing_payments > 0 ? html`<span class="soft">next payment fails</span>` : act('fail-next-payment', 'Fail next payment'))}
      ${wire.status === 'past_due' && act('pay-past-due', 'Pay')}
      ${wire.status === 'paused' && act('resume', 'Resume')}
      ${wire.status === 'canceled' ? act('reinstate', 'Reinstate') : act('revoke', 'Revoke', 'danger')}
    </td>
  </tr>`;
}

function orderRow(emulator: Emulator, { id, wire }: OrderRecord): Html {
  return html`<tr>
    <td>${nameOf(emulator, wire.customer_id)}</td>
    <td>${wire.description}<br><span class="soft">${wire.billing_reason.replaceAll('_', ' ')}</span></td>
    <td>${badge(wire.status)}</td>
    <td>${money(wire.total_amount)}${wire.refunded_amount > 0 && html`<br><span class="soft">−${money(wire.refunded_amount)}</span>`}</td>
    <td>${moment(wire.created_at)}</td>
    <td>
      ${wire.refundable_amount > 0 && button(`/emulator/orders/${id}/refund`, 'Refund')}
      ${wire.refundable_amount > 1 && button(`/emulator/orders/${id}/refund`, 'Refund half', { amount: String(Math.floor(wire.refundable_amount / 2)) })}
      ${wire.refundable_amount > 0 && button(`/emulator/orders/${id}/dispute`, 'Dispute')}
    </td>
  </tr>`;
}

function webhookRow({ id, wire, attempts, held }: WebhookEventRecord): Html {
  const status = wire.succeeded
    ? 'delivered'
    : wire.skipped
      ? 'skipped'
      : held
        ? 'held'
        : wire.succeeded === false
          ? 'failed'
          : 'pending';
  return html`<tr>
    <td><code>${wire.type}</code></td>
    <td>${badge(status)}</td>
    <td>${attempts}</td>
    <td>${moment(wire.created_at)}</td>
    <td>${button(`/emulator/webhooks/${id}/redeliver`, 'Redeliver')}</td>
  </tr>`;
}

function faultsSection(faults: Faults): Html {
  const add = (label: string, fields: Record<string, string>) => button('/emulator/faults', label, fields);
  return html`<h2>Faults</h2>
    <div class="card">
      <p class="soft">Each button makes the next API requests or webhooks fail on purpose.</p>
      ${add('API: 500', { target: 'api', status: '500' })}
      ${add('API: 429, retry after 2 s', { target: 'api', status: '429', retry_after: '2' })}
      ${add('API: cut off after the effect', { target: 'api', after_effect: 'drop' })}
      ${add('Lose 1 webhook', { target: 'webhooks', mode: 'lost' })}
      ${add('Send 1 webhook twice', { target: 'webhooks', mode: 'duplicate' })}
      ${add('Reverse the next 5 webhooks', { target: 'webhooks', mode: 'reorder', times: '5' })}
      ${add('Hold the next 20 webhooks', { target: 'webhooks', mode: 'hold', times: '20' })}
      ${button('/emulator/webhooks/release', 'Release held webhooks')}
      ${button('/emulator/faults/clear', 'Clear faults', {}, 'danger')}
      ${faults.list().map((fault) => html`<p><code>${JSON.stringify(fault)}</code></p>`)}
    </div>`;
}

function nameOf(emulator: Emulator, customerId: string): string {
  const wire = emulator.store.customers.get(customerId)?.wire;
  return wire?.name ?? wire?.email ?? customerId;
}
