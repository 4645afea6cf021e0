import type { models, webhooks } from '@polar-sh/sdk/2026-10';
import type { EmulatorSettings } from './records.ts';
import type { Store } from './store.ts';

export type WebhookType = webhooks.WebhookPayload['type'];
export type WebhookData<T extends WebhookType> = T extends 'customer.state_changed'
  ? CustomerState
  : Extract<webhooks.WebhookPayload, { type: T }>['data'];

/** In SDK 1.0.1 the type of a subscription in a customer's state has wrong statuses. Polar's API returns these. */
export type CustomerState = models.Customer & {
  active_subscriptions: StateSubscription[];
  granted_benefits: models.CustomerStateBenefitGrant[];
  active_meters: models.CustomerStateMeter[];
};
export type StateSubscription = Omit<models.CustomerStateSubscription, 'status'> & {
  status: 'active' | 'trialing';
};

/** The context that every part of the emulator uses. Changes of the store run inside `store.transaction`. */
export interface Emulator {
  readonly store: Store;
  /** Base URL of this server, without a trailing slash. */
  readonly url: string;
  /** Whether webhook URLs may be `http://` on this machine. */
  readonly loopbackWebhooks: boolean;
  /** The emulator's time: the clock or, while overdue renewals run, the time at which each was due. */
  now(): Date;
  /** `now` in Polar's notation with microseconds. Strictly increasing: no two answers are equal. */
  stamp(): string;
  /** Runs `work` with `time` as the emulator's time. */
  at<T>(time: Date, work: () => T): T;
  /** Stores a webhook for every enabled endpoint that subscribes to its type. It is sent after the commit. */
  emit<T extends WebhookType>(type: T, data: WebhookData<T>): void;
}

const defaultSettings: EmulatorSettings = {
  tax_basis_points: 0,
  tax_inclusive: false,
  item_timestamps: true,
  unknown_email_domains: [],
  unknown_event_types: [],
};

export function organizationOf(emulator: Emulator): models.Organization & EmulatorSettings {
  const [organization] = emulator.store.organizations.all();
  if (!organization) throw new Error('the emulator has no organization');
  return { ...defaultSettings, ...organization };
}

/** A time that follows `clock` and is unique within one millisecond. */
export function emulatorTime(clock: () => Date): Pick<Emulator, 'now' | 'stamp' | 'at'> {
  let pinned: Date | undefined;
  let last = '';
  let ticks = 0;
  const now = () => new Date(pinned ?? clock());
  return {
    now,
    stamp() {
      const time = now().toISOString();
      ticks = time === last ? Math.min(ticks + 1, 999) : 0;
      last = time;
      return time.replace('Z', `${String(ticks).padStart(3, '0')}Z`);
    },
    at(time, work) {
      const before = pinned;
      pinned = time;
      try {
        return work();
      } finally {
        pinned = before;
      }
    },
  };
}
