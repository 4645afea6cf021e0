import { randomUUID } from 'node:crypto';
import type { Router } from 'express';
import { z } from 'zod';
import { bodyOf, idOf, oneOf, routesOf } from './answer.ts';
import { type Emulator, organizationOf } from './emulator.ts';
import { notFound } from './polar-refusal.ts';
import type { Records } from './records.ts';
import { toOrganization } from './wire.ts';

/** Settings of the organization that only the control API can change. */
const settingsRequest = z.strictObject({
  proration_behavior: z.enum(['invoice', 'prorate', 'next_period', 'reset']).optional(),
  allow_multiple_subscriptions: z.boolean().optional(),
  reset_proration_behavior_enabled: z.boolean().optional(),
  tax_basis_points: z.int().min(0).max(10_000).optional(),
  tax_inclusive: z.boolean().optional(),
  item_timestamps: z.boolean().optional(),
  unknown_email_domains: z.array(z.string().toLowerCase()).optional(),
  unknown_event_types: z.array(z.string()).optional(),
});

/** The one organization of the access token. */
export function organizationRoutes(router: Router, emulator: Emulator): void {
  const { list, get, post } = routesOf(router, emulator);
  list('/v1/organizations/', {
    rows: () => [toOrganization(emulator)],
    present: (organization) => organization,
    filters: { slug: oneOf(({ slug }) => slug) },
    sorting: { created_at: ({ created_at }) => created_at, name: ({ name }) => name },
    defaultSorting: 'created_at',
  });
  get('/v1/organizations/:id', (request) => {
    const organization = toOrganization(emulator);
    if (idOf(request) !== organization.id) throw notFound('Organization not found.');
    return organization;
  });
  post('/emulator/settings', (request) => changeSettings(emulator, bodyOf(settingsRequest, request)), 200);
}

/** Creates the organization at the first start. */
export function ensureOrganization(emulator: Emulator): void {
  if (emulator.store.organizations.all().length > 0) return;
  emulator.store.transaction(() => emulator.store.organizations.put(firstOrganization(emulator)));
}

function changeSettings(
  emulator: Emulator,
  settings: z.infer<typeof settingsRequest>,
): Records['organizations'] {
  const before = organizationOf(emulator);
  const {
    proration_behavior = before.proration_behavior,
    allow_multiple_subscriptions = before.subscription_settings.allow_multiple_subscriptions,
    reset_proration_behavior_enabled = before.feature_settings?.reset_proration_behavior_enabled ?? false,
    ...own
  } = settings;
  const changed = emulator.store.organizations.put({
    ...before,
    modified_at: emulator.stamp(),
    proration_behavior,
    ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)),
    feature_settings: { ...before.feature_settings, reset_proration_behavior_enabled },
    subscription_settings: {
      ...before.subscription_settings,
      proration_behavior: proration_behavior === 'reset' ? 'invoice' : proration_behavior,
      allow_multiple_subscriptions,
    },
  });
  emulator.emit('organization.updated', toOrganization(emulator));
  return changed;
}

function firstOrganization(emulator: Emulator): Records['organizations'] {
  return {
    created_at: emulator.stamp(),
    modified_at: null,
    id: randomUUID(),
    name: 'Polar emulator',
    slug: 'emulator',
    avatar_url: null,
    proration_behavior: 'prorate',
    allow_customer_updates: true,
    email: 'billing@example.com',
    website: null,
    socials: [],
    status: 'active',
    details_submitted_at: emulator.stamp(),
    onboarding_resubmission_requested_at: null,
    sso_enforced: false,
    default_presentment_currency: 'usd',
    default_tax_behavior: 'location',
    feature_settings: { member_model_enabled: true, reset_proration_behavior_enabled: false },
    subscription_settings: {
      allow_multiple_subscriptions: false,
      proration_behavior: 'prorate',
      benefit_revocation_grace_period: 0,
      prevent_trial_abuse: false,
      allow_customer_updates: true,
    },
    customer_email_settings: {
      order_confirmation: true,
      payment_method_expiration_reminder: true,
      subscription_cancellation: true,
      subscription_confirmation: true,
      subscription_cycled: true,
      subscription_cycled_after_trial: true,
      subscription_past_due: true,
      subscription_paused: true,
      subscription_resumed: true,
      subscription_renewal_reminder: true,
      subscription_revoked: true,
      subscription_trial_conversion_reminder: true,
      subscription_uncanceled: true,
      subscription_updated: true,
    },
    customer_portal_settings: {
      usage: { show: true },
      subscription: { update_seats: true, update_plan: true },
    },
    dispute_settings: { auto_accept_below_amount: null },
    embed_hosts: [],
    country: null,
    account_id: null,
    payout_account_id: null,
    capabilities: {
      checkout_payments: true,
      subscription_renewals: true,
      payouts: true,
      refunds: true,
      api_access: true,
      dashboard_access: true,
    },
  };
}
