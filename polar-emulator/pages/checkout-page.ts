import type { Emulator } from '../emulator.ts';
import type { CheckoutRecord } from '../records.ts';
import { html, moment, money, page } from './html.ts';

/** The hosted checkout: the product, its price, and a card that pays or declines. */
export function checkoutPage(emulator: Emulator, { id, wire }: CheckoutRecord, message?: string): string {
  const product = emulator.store.products.demand(wire.product_id ?? '');
  const rhythm = product.recurring_interval === null ? 'one-time' : `per ${product.recurring_interval}`;
  const asksEmail = wire.customer_id === null && wire.customer_email === null;
  const trial = wire.active_trial_interval !== null && wire.trial_end !== null;
  return page(
    `Checkout: ${product.name}`,
    html`<main class="narrow"><div class="card">
      <p class="soft">Polar emulator · no real card, no real money</p>
      <h1>${product.name}${wire.units !== null && html` × ${wire.units}`}</h1>
      <p class="soft">${product.description}</p>
      <p class="price">${money(wire.total_amount)}</p>
      <p class="soft">${rhythm}${trial && html`, free until ${moment(wire.trial_end)}`}
        ${wire.discount_amount > 0 && html` · ${money(wire.discount_amount)} off`}</p>
      ${message !== undefined && html`<p class="error" role="alert">${message}</p>`}
      ${
        wire.status === 'open'
          ? html`<form method="post" action="/checkout/${id}/pay">
              ${asksEmail && html`<input type="email" name="email" placeholder="you@example.com" aria-label="E-mail" required>`}
              <button class="primary">${wire.is_payment_required ? `Pay ${money(wire.total_amount)}` : 'Continue'}</button>
            </form>
            <form method="post" action="/checkout/${id}/decline"><button>Use a card that is declined</button></form>
            ${wire.return_url !== null && html`<p><a href="${wire.return_url}">Back</a></p>`}`
          : html`<p><strong>${wire.status === 'succeeded' ? 'Paid. Thank you!' : 'This checkout has expired.'}</strong></p>`
      }
    </div></main>`,
  );
}
