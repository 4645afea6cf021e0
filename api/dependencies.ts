import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import type { CreditOperations } from '../ledger/spend/credit-operations.ts';
import type { SigningKeys } from '../outbox/seal-secret.ts';
import type { InvoiceCache } from '../polar/cached-invoices.ts';
import type { Authenticate } from './authenticate.ts';
import type { Metrics } from './metrics.ts';
import type { Rates } from './rate-limits.ts';
import type { PageSettings } from './serve-page.ts';
import type { TeamEvents } from './team-events.ts';
import type { TemporalLink } from './temporal-link.ts';

/** The dependencies of the routes; `main.ts` and the tests create them. */
export interface Dependencies {
  database: Database;
  creditOperations: CreditOperations;
  polar: Polar;
  invoices: InvoiceCache;
  temporal: TemporalLink;
  authenticate: Authenticate;
  metrics: Metrics;
  /** All valid secrets of Polar's webhooks. */
  webhookSecrets: readonly string[];
  /** Messages to other systems. The newest of `signingKeys` encrypts the secrets of their endpoints. */
  webhooks: { signingKeys: SigningKeys };
  /** Requests per minute of each caller, team and address. */
  rates: Rates;
  /** Addresses and CIDR ranges of our own proxies, whose `X-Forwarded-For` gives a caller's address. */
  trustedProxies: string[];
  email: {
    /** Whether e-mails are sent: SMTP_URL is set. */
    isOn: boolean;
    /** All valid secrets of the links in e-mails. */
    tokenSecrets: readonly string[];
  };
  /** Where the development stack keeps its mails, for `/dev/mail`; undefined in production. */
  mailFolder: string | undefined;
  /** Whether `/dev/sign-in` signs a browser in without a password; never in production. */
  signInWithoutPassword: boolean;
  /** The URL of the API from outside, without a trailing slash. */
  publicUrl: string;
  page: PageSettings;
  teamEvents: TeamEvents;
  /** Outside production each answer is checked against its schema before it is sent. */
  production: boolean;
}
