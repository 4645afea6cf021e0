import type { Emulator } from '../emulator.ts';
import type { CustomerRecord, OrderRecord, Records, SubscriptionRecord } from '../records.ts';
import { fixedPriceOf, isActive } from '../wire.ts';
import { badge, button, type Html, html, moment, money, page } from './html.ts';

/** The customer portal of one session: plan, invoices, payment method. */
export function portalPage(
  emulator: Emulator,
  session: Records['sessions'],
  customer: CustomerRecord,
  message?: string,
): string {
  const { store } = emulator;
  const subscriptions = store.subscriptions.all().filter(({ wire }) => wire.customer_id === customer.id);
  const orders = store.orders.all().filter(({ wire }) => wire.customer_id === customer.id);
  const member = session.member_id === null ? undefined : store.members.get(session.member_id);
  return page(
    'Customer portal',
    html`<main>
      <h1>${customer.wire.name ?? customer.wire.email}</h1>
      <p class="soft">Customer portal of the Polar emulator${member && html` · ${member.email} (${member.role.replaceAll('_', ' ')})`}</p>
      ${message !== undefined && html`<p class="error" role="alert">${message}</p>`}
      <h2>Plan</h2>
      ${subscriptions.length === 0 && html`<div class="card soft">No plan yet.</div>`}
      ${subscriptions.reverse().map((record) => planCard(emulator, session.token, record))}
      <h2>Payment method</h2>
      <div class="card">
        <p>${customer.card_declines ? 'A card that is declined' : 'Visa ending in 4242'}</p>
        ${button(
          '/portal/card',
          customer.card_declines ? 'Use a card that works' : 'Use a card that is declined',
          {
            customer_session_token: session.token,
            declines: String(!customer.card_declines),
          },
        )}
      </div>
      <h2>Invoices</h2>
      <div class="card scroll"><table>
        <tr><th>Number</th><th>For</th><th>Status</th><th>Amount</th><th>Date (UTC)</th></tr>
        ${orders.reverse().map(invoiceRow)}
      </table></div>
      ${session.return_url !== null && html`<p><a href="${session.return_url}">Back</a></p>`}
    </main>`,
  );
}

export function invoicePage(emulator: Emulator, { wire }: OrderRecord): string {
  const customer = emulator.store.customers.get(wire.customer_id)?.wire;
  return page(
    `Invoice ${wire.invoice_number}`,
    html`<main class="narrow"><div class="card">
      <h1>Invoice ${wire.invoice_number}</h1>
      <p class="soft">${customer?.name} · ${moment(wire.created_at)} UTC</p>
      <table>
        ${wire.items.map(({ label, amount }) => html`<tr><td>${label}</td><td>${money(amount)}</td></tr>`)}
        ${wire.discount_amount > 0 && html`<tr><td>Discount</td><td>−${money(wire.discount_amount)}</td></tr>`}
        <tr><td>Tax</td><td>${money(wire.tax_amount)}</td></tr>
        <tr><td><strong>Total</strong></td><td><strong>${money(wire.total_amount)}</strong></td></tr>
      </table>
    </div></main>`,
  );
}

function planCard(emulator: Emulator, token: string, { id, wire, pending_update }: SubscriptionRecord): Html {
  const fields = { customer_session_token: token, subscription_id: id };
  const product = emulator.store.products.demand(wire.product_id);
  const next = pending_update?.product_id
    ? emulator.store.products.demand(pending_update.product_id)
    : undefined;
  const others = emulator.store.products
    .all()
    .filter((other) => other.is_recurring && !other.is_archived && other.id !== product.id);
  return html`<div class="card">
    <p><strong>${product.name}</strong> ${badge(wire.status)}</p>
    <p class="soft">${money(wire.amount)} per ${wire.recurring_interval} ·
      ${wire.cancel_at_period_end ? 'ends' : 'renews'} ${moment(wire.current_period_end)} UTC
      ${next && html` · then ${next.name}`}</p>
    ${
      isActive(wire.status) &&
      (wire.cancel_at_period_end
        ? button('/portal/uncancel', 'Keep the plan', fields, 'primary')
        : html`${others.map((other) =>
            button(
              '/portal/change-plan',
              `Change to ${other.name}, ${money(fixedPriceOf(other).price_amount)}`,
              {
                ...fields,
                product_id: other.id,
              },
            ),
          )}
          ${button('/portal/cancel', 'Cancel at period end', fields, 'danger')}`)
    }
    ${wire.status === 'past_due' && button('/portal/pay', 'Pay now', fields, 'primary')}
  </div>`;
}

function invoiceRow({ id, wire }: OrderRecord): Html {
  return html`<tr>
    <td><a href="/invoices/${id}">${wire.invoice_number}</a></td>
    <td>${wire.description}</td>
    <td>${badge(wire.status)}</td>
    <td>${money(wire.total_amount)}</td>
    <td>${moment(wire.created_at)}</td>
  </tr>`;
}
