import type { models } from '@polar-sh/sdk/2026-10';

/**
 * The stored state, by kind. `wire` is the part that Polar would show, typed by the SDK, without embedded objects
 * (`wire.ts` adds them to each answer). The other fields are known only to the server.
 */
export interface Records {
  organizations: models.Organization & Partial<EmulatorSettings>;
  products: models.Product;
  discounts: DiscountRecord;
  customers: CustomerRecord;
  members: models.Member;
  sessions: {
    id: string;
    token: string;
    customer_id: string;
    member_id: string | null;
    return_url: string | null;
    expires_at: string;
  };
  checkouts: CheckoutRecord;
  subscriptions: SubscriptionRecord;
  orders: OrderRecord;
  refunds: Omit<models.Refund, 'dispute'> & { dispute_id: string | null };
  disputes: models.RefundDispute;
  /** `failed_in_row`: how many of its latest events in a row failed. */
  endpoints: models.WebhookEndpoint & { failed_in_row: number };
  events: WebhookEventRecord;
  deliveries: Omit<models.WebhookDelivery, 'webhook_event'> & { event_id: string; endpoint_id: string };
}

/** Settings of the emulator's organization that Polar does not have. */
export interface EmulatorSettings {
  /** Tax on every order, in hundredths of a percent. */
  tax_basis_points: number;
  /** Whether prices include the tax. */
  tax_inclusive: boolean;
  /**
   * Whether the lines of new orders have `start_timestamp` and `end_timestamp`, as Polar's have since September 2026.
   */
  item_timestamps: boolean;
  /** E-mail domains that are refused, as Polar refuses domains without a mail server. */
  unknown_email_domains: string[];
  /** Event types that a webhook endpoint cannot subscribe to, as with a server older than the SDK. */
  unknown_event_types: string[];
}

/** The reduction of a discount: a share of a price in hundredths of a percent, or an amount in cents. */
export type DiscountRecord = Omit<
  models.DiscountPercentageOnceForeverDurationBase,
  'type' | 'basis_points'
> & {
  duration_in_months: number | null;
  /** The products that it applies to; null for all. */
  product_ids: string[] | null;
} & (
    | { type: 'percentage'; basis_points: number }
    | { type: 'fixed'; amount: number; currency: 'usd'; amounts: { usd: number } }
  );

export interface CustomerRecord {
  id: string;
  wire: models.OrderCustomer;
  /** Whether the stored card declines every charge. */
  card_declines: boolean;
  /** Cents that Polar owes the customer (from an invoiced downgrade). The next order uses them. */
  balance: number;
}

export interface CheckoutRecord {
  id: string;
  wire: Omit<models.Checkout, 'products' | 'product' | 'product_price' | 'prices' | 'discount' | 'url'>;
  product_ids: string[];
}

export interface SubscriptionRecord {
  id: string;
  wire: models.OrderSubscription;
  /** The day of the month to which periods return after a shorter month. */
  anchor_day: number;
  /** The plan's price per period in cents, without the discount that `wire.amount` includes. */
  base_amount: number;
  pending_update: models.PendingSubscriptionUpdate | null;
  /**
   * When the period starts that applies the pending update. Its own time, even if the period's end is moved meanwhile.
   */
  pending_period_start: string | null;
  /** Prorations that wait for the next order. */
  pending_items: models.OrderItemSchema[];
  discount_applied_at: string | null;
  /** How many of the next charges are declined. */
  failing_payments: number;
}

export interface OrderRecord {
  id: string;
  wire: Omit<models.Order, 'customer' | 'product' | 'discount' | 'subscription'>;
  /** Whether its lines state their period: see `EmulatorSettings`. */
  item_timestamps: boolean;
  failed_attempts: number;
  first_failed_at: string | null;
}

export interface WebhookEventRecord {
  id: string;
  wire: models.WebhookEvent;
  endpoint_id: string;
  /** The position in the order of first attempts. */
  position: number;
  /** Held back by a fault until it is released. */
  held: boolean;
  attempts: number;
  /** Wall time of the next attempt in milliseconds; null if no more attempts are due. */
  next_attempt_at: number | null;
}
