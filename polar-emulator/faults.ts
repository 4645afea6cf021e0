import type { RequestHandler } from 'express';
import { z } from 'zod';
import type { WebhookType } from './emulator.ts';

/**
 * A fault for later requests. `api`: the next `times` requests whose path starts with `path` are answered with
 * `status` (and `retry_after`, `body`; by default a 429 has an empty body and `retry-after: 60`). Or they take effect
 * and are then never answered (`hang`) or cut off (`drop`). `webhooks`: the next `times` webhooks are `lost` (never
 * created), sent twice (`duplicate`), or held back. Held webhooks are sent in reverse order when there are `times` of
 * them (`reorder`), or on release (`hold`).
 */
export const faultRequest = z.discriminatedUnion('target', [
  z.strictObject({
    target: z.literal('api'),
    path: z.string().default('/v1/'),
    method: z.string().toUpperCase().optional(),
    times: z.coerce.number().int().min(1).default(1),
    status: z.coerce.number().int().min(200).max(599).optional(),
    retry_after: z.coerce.number().int().min(0).optional(),
    body: z.unknown().optional(),
    after_effect: z.enum(['hang', 'drop']).optional(),
  }),
  z.strictObject({
    target: z.literal('webhooks'),
    mode: z.enum(['lost', 'duplicate', 'reorder', 'hold']),
    type: z.string().optional(),
    times: z.coerce.number().int().min(1).default(1),
  }),
]);
export type Fault = z.infer<typeof faultRequest>;

export interface Faults {
  add(fault: Fault): void;
  list(): Fault[];
  clear(): void;
  /** What happens to the next webhook of this type. */
  takeWebhook(type: WebhookType): 'lost' | 'duplicate' | 'hold' | undefined;
  /** Whether a `reorder` now holds all its webhooks. */
  takeRelease(): boolean;
  /** Middleware before Polar's API. */
  middleware: RequestHandler;
}

/** Faults on demand. They are kept in memory and lost at a restart. */
export function createFaults(): Faults {
  let faults: Fault[] = [];
  let releaseDue = false;

  const use = (fault: Fault) => {
    fault.times -= 1;
    faults = faults.filter(({ times }) => times > 0);
  };

  return {
    add: (fault) => void faults.push({ ...fault }),
    list: () => faults,
    clear: () => {
      faults = [];
    },
    takeWebhook(type) {
      for (const fault of faults) {
        if (fault.target !== 'webhooks' || (fault.type !== undefined && fault.type !== type)) continue;
        use(fault);
        if (fault.mode !== 'reorder') return fault.mode;
        if (fault.times === 0) releaseDue = true;
        return 'hold';
      }
      return undefined;
    },
    takeRelease() {
      const due = releaseDue;
      releaseDue = false;
      return due;
    },
    middleware(request, response, next) {
      const fault = faults.find(
        (candidate) =>
          candidate.target === 'api' &&
          request.path.startsWith(candidate.path) &&
          (candidate.method === undefined || candidate.method === request.method),
      );
      if (fault?.target !== 'api') return next();
      use(fault);
      if (fault.after_effect !== undefined) {
        const { after_effect } = fault;
        const silence = () => {
          if (after_effect === 'drop') request.socket.destroy();
          return response;
        };
        response.json = silence;
        response.end = silence;
        return next();
      }
      const status = fault.status ?? 500;
      const retryAfter = fault.retry_after ?? (status === 429 ? 60 : undefined);
      if (retryAfter !== undefined) response.set('retry-after', String(retryAfter));
      if (status === 429 && fault.body === undefined) {
        response.status(status).end();
        return;
      }
      response
        .status(status)
        .json(fault.body ?? { error: 'InternalServerError', detail: 'A fault on demand.' });
    },
  };
}
