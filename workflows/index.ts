/** Every workflow of the worker. */
export { deliverWebhooks } from './deliver-webhooks.ts';
export { maintenance, verifyLedger } from './maintenance.ts';
export { reconcile } from './reconcile.ts';
export { sendEmails } from './send-emails.ts';
export { teamLifecycle } from './team-lifecycle.ts';
