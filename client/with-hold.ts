import type { components } from './api-types.ts';
import type { BillingClient } from './billing-client.ts';
import type { Receipt } from './meter.ts';

/** The work for which credits are set aside: a team, an action, and `quantities` or `credits`. */
export type HoldTerms = components['schemas']['NewHold'] & {
  teamId: string;
  /** Default: a new one. */
  idempotencyKey?: string;
};
/** The real price of the work: `quantities` or `credits`. */
export type Cost = components['schemas']['HoldCapture'];

/** An open hold. It is extended until it is captured or released. */
export interface OpenHold {
  id: string;
  /** Debits the real price. @throws BillingProblem if it is refused; the hold then stays open until it expires */
  capture(cost: Cost): Promise<Receipt>;
  /** Gives all credits back. */
  release(): Promise<void>;
}

/** How long a hold outlives a process that ended without capturing it, in seconds. */
const defaultTtlSeconds = 300;

/**
 * Holds credits, does the work, captures its real price. If the work throws, the hold is released and the error is thrown. While the
 * work goes on the hold is extended, so `ttlSeconds` (300) only says how soon it expires if this process ends.
 * @throws BillingProblem before the work if the hold is refused (`insufficient_credits`, `limit_reached`), and after it if the capture
 *   is refused. Then the hold stays open until it expires: capture it for less, or release it.
 *
 * ```ts
 * const { result } = await withHold(billing, { teamId, action: 'model.gpt-5', credits: '5' }, async () => {
 *   const answer = await callModel();
 *   return { result: answer, cost: { quantities: { input_tokens: answer.inputTokens, output_tokens: answer.outputTokens } } };
 * });
 * ```
 */
export async function withHold<Result>(
  billing: BillingClient,
  terms: HoldTerms,
  work: (hold: { id: string }) => Promise<{ result: Result; cost: Cost }>,
): Promise<{ result: Result; receipt: Receipt }> {
  const hold = await openHold(billing, terms);
  let done: { result: Result; cost: Cost };
  try {
    done = await work({ id: hold.id });
  } catch (error) {
    // If the release fails too, the hold expires. The caller must see why the work failed.
    await hold.release().catch(() => {});
    throw error;
  }
  return { result: done.result, receipt: await hold.capture(done.cost) };
}

/** Holds credits until `capture` or `release`. `withHold` is simpler, if the work is one function. */
export async function openHold(billing: BillingClient, terms: HoldTerms): Promise<OpenHold> {
  const { teamId, idempotencyKey = crypto.randomUUID(), ttlSeconds = defaultTtlSeconds, ...body } = terms;
  const { id } = await billing.POST('/v1/teams/{teamId}/holds', {
    params: { path: { teamId }, header: { 'Idempotency-Key': idempotencyKey } },
    body: { ...body, ttlSeconds },
  });
  const params = { path: { holdId: id } };
  const extend = () => billing.POST('/v1/holds/{holdId}/extend', { params, body: { ttlSeconds } });
  // There are three attempts in the life of a hold. If all fail, the hold expires, and the capture says so.
  const timer = setInterval(() => void extend().catch(() => {}), (ttlSeconds * 1_000) / 4);
  return {
    id,
    async capture(cost) {
      clearInterval(timer);
      return billing.POST('/v1/holds/{holdId}/capture', { params, body: cost });
    },
    async release() {
      clearInterval(timer);
      await billing.POST('/v1/holds/{holdId}/release', { params });
    },
  };
}
