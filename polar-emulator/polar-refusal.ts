import type { models } from '@polar-sh/sdk/2026-10';

/** Polar's named errors that the emulator can answer, with the statuses that the SDK expects for them. */
const STATUS = {
  BadRequest: 400,
  Unauthorized: 401,
  PaymentFailed: 402,
  NotPermitted: 403,
  RefundedAlready: 403,
  RevokeSubscriptionBenefitsProhibited: 400,
  AlreadyCanceledSubscription: 403,
  InactiveSubscription: 403,
  AlreadyActiveSubscriptionError: 403,
  NotOpenCheckout: 403,
  ResourceNotFound: 404,
  SubscriptionLocked: 409,
  OrderNotEligibleForInvoice: 409,
  DisputeNotOpenError: 409,
  ProductNotDeletable: 409,
  ExpiredCheckoutError: 410,
  ResourceUnavailable: 410,
} as const;

interface NamedError {
  error: keyof typeof STATUS;
  detail: string;
}

/** 422: by the request's schema (`RequestValidationError`) or by the server's state (`PolarRequestValidationError`). */
export interface Invalid {
  error: 'RequestValidationError' | 'PolarRequestValidationError';
  detail: (Omit<models.ValidationError, 'input' | 'ctx'> & {
    input: unknown;
    ctx?: Record<string, string>;
  })[];
}
type RefusalBody = NamedError | Invalid;

/** An error in Polar's format: `body` is the JSON that the SDK's error class of that status expects. */
export class PolarRefusal extends Error {
  readonly status: number;
  readonly body: RefusalBody;
  /** Whether the changes before the error are kept (a declined charge was still an attempt). */
  readonly keep: boolean;

  constructor(status: number, body: RefusalBody, effects: 'keep' | 'undo' = 'undo') {
    super(JSON.stringify(body));
    this.status = status;
    this.body = body;
    this.keep = effects === 'keep';
  }
}

export function refusal(error: NamedError['error'], detail: string): PolarRefusal {
  return new PolarRefusal(STATUS[error], { error, detail });
}

export const notFound = (detail = 'Not found'): PolarRefusal => refusal('ResourceNotFound', detail);

/** 422 with one entry: `loc` is the path to the refused value, from `body`, `query` or `path` on. */
export function invalid(loc: (string | number)[], msg: string, input?: unknown): PolarRefusal {
  return new PolarRefusal(422, {
    error: 'PolarRequestValidationError',
    detail: [{ type: 'value_error', loc, msg, input: input ?? null }],
  });
}

/** 422 as the request's schema returns it. */
export function malformed(detail: Invalid['detail']): PolarRefusal {
  return new PolarRefusal(422, { error: 'RequestValidationError', detail });
}
