import { createBillingClient } from '../../client/index.ts';

/** The billing API of the page's own origin. The session's cookie says who calls. */
export const billing = createBillingClient({
  baseUrl: window.location.origin,
  credentials: { cookie: true },
  retry: { maxAttempts: 3, maxTotalMs: 10_000 },
});
