/** One row of the table of errors. */
export interface ErrorEntry {
  /** The HTTP status of an answer with this code. */
  status: number;
  /** The `title` of the problem: what happened, in a few words. */
  title: string;
  /** True: nothing is wrong with the request. Send the same request later, with the same idempotency key. */
  retriable: boolean;
  /** What the caller should do. */
  action: string;
}

/**
 * The table of errors: every stable code, its meaning and what to do. The API's answers, the OpenAPI document,
 * `docs/errors.md` (`npm run errors:write`) and Temporal's retries use it. A code has one status. Codes are part of
 * the API: new ones may be added, existing ones are never renamed or removed.
 */
export const errors = {
  // 400: the request cannot be parsed
  idempotency_key_required: {
    status: 400,
    title: 'Idempotency key required',
    retriable: false,
    action: 'Send an Idempotency-Key header: a new key for a new request, the same key for a retry.',
  },
  invalid_cursor: {
    status: 400,
    title: 'Invalid cursor',
    retriable: false,
    action: 'Send the nextCursor of the previous page, unchanged, or no cursor for the first page.',
  },
  invalid_parameters: {
    status: 400,
    title: 'Invalid parameters',
    retriable: false,
    action: 'Correct the path and query parameters that `errors` names.',
  },
  malformed_body: {
    status: 400,
    title: 'Malformed body',
    retriable: false,
    action: 'Send the whole body with the right Content-Length and Content-Encoding.',
  },
  malformed_json: {
    status: 400,
    title: 'Malformed JSON',
    retriable: false,
    action: 'Send a body that is valid JSON.',
  },
  malformed_url: {
    status: 400,
    title: 'Malformed URL',
    retriable: false,
    action: 'Percent-encode the path.',
  },
  unreadable_event: {
    status: 400,
    title: 'Unreadable event',
    retriable: false,
    action:
      'Send an event in the format that Polar documents. If Polar sent the event, report it to us with its id.',
  },

  // 401 and 403: the caller
  bad_signature: {
    status: 401,
    title: 'Bad webhook signature',
    retriable: false,
    action: 'Sign the webhook with the current secret and a fresh timestamp; `mismatch` says what is wrong.',
  },
  unauthenticated: {
    status: 401,
    title: 'Not authenticated',
    retriable: false,
    action:
      'Send Authorization: Bearer with a valid service key or a fresh JWT; `reason` says what is wrong.',
  },
  cross_site_request: {
    status: 403,
    title: 'Request from another site',
    retriable: false,
    action:
      'Send the request from our own page, or with Authorization: Bearer instead of the session’s cookie.',
  },
  forbidden: {
    status: 403,
    title: 'Not allowed',
    retriable: false,
    action:
      'Call as a user with one of `allowedRoles`, or with a service key that has one of `allowedScopes`.',
  },

  // 402: credits and payments
  insufficient_credits: {
    status: 402,
    title: 'Insufficient credits',
    retriable: false,
    action:
      'Buy credits or use less: `required` credits are needed, `available` are left. The same key may be sent again.',
  },
  limit_reached: {
    status: 402,
    title: 'Limit reached',
    retriable: false,
    action:
      'Wait until `resetsAt` or ask a user with a role in `raisedBy` to raise the limit. `level` is member or key. `used` of `limit` credits are used.',
  },
  payment_failed: {
    status: 402,
    title: 'Payment failed',
    retriable: false,
    action:
      'Update the payment method in the customer portal, then send the request again. Nothing was changed.',
  },

  // 404 and 410: not found
  polar_not_found: {
    status: 404,
    title: 'Unknown to Polar',
    retriable: false,
    action: 'Check the id: Polar has no such object, or has deleted it.',
  },
  unknown_checkout: {
    status: 404,
    title: 'Unknown checkout',
    retriable: false,
    action: 'Use the id of a checkout of this team.',
  },
  unknown_event: {
    status: 404,
    title: 'Unknown event',
    retriable: false,
    action: 'Use an id from the list of inbox events.',
  },
  unknown_hold: {
    status: 404,
    title: 'Unknown hold',
    retriable: false,
    action: 'Use the id from the answer that created the hold.',
  },
  unknown_email_link: {
    status: 404,
    title: 'Unknown link',
    retriable: false,
    action: 'Open the link of the e-mail again, complete and unchanged.',
  },
  unknown_invitation: {
    status: 404,
    title: 'Unknown invitation',
    retriable: false,
    action:
      'Use an id from the list of invitations. An invitation that was answered, revoked or has expired cannot be used.',
  },
  unknown_invoice: {
    status: 404,
    title: 'Unknown invoice',
    retriable: false,
    action: 'Use an id from the team’s list of invoices.',
  },
  unknown_limit: {
    status: 404,
    title: 'Unknown limit',
    retriable: false,
    action: 'Do nothing: the member or API key has no limit.',
  },
  unknown_member: {
    status: 404,
    title: 'Unknown member',
    retriable: false,
    action: 'Use the user id of a member of the team; invite the user first.',
  },
  unknown_route: {
    status: 404,
    title: 'Unknown route',
    retriable: false,
    action: 'Check the method and path against /docs. Paths are case-sensitive and have no slash at the end.',
  },
  unknown_service_key: {
    status: 404,
    title: 'Unknown service key',
    retriable: false,
    action: 'Use the id of a service key that is not revoked.',
  },
  unknown_subscription: {
    status: 404,
    title: 'Unknown subscription',
    retriable: false,
    action: 'Use the id of one of the team’s subscriptions, or leave it out.',
  },
  unknown_team: {
    status: 404,
    title: 'Unknown team',
    retriable: false,
    action: 'Use the id of a team that exists and that the caller may see.',
  },
  unknown_user: {
    status: 404,
    title: 'Unknown user',
    retriable: false,
    action: 'Use the id of a user who has signed up and is not erased.',
  },
  unknown_webhook_endpoint: {
    status: 404,
    title: 'Unknown webhook endpoint',
    retriable: false,
    action: 'Use the id of a webhook endpoint that exists.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    retriable: false,
    action: 'Use one of the methods in the Allow header.',
  },
  user_erased: {
    status: 410,
    title: 'User erased',
    retriable: false,
    action: 'Sign the user up under a new id: the id of an erased user is not used again.',
  },

  // 409: the current state does not allow it
  already_member: {
    status: 409,
    title: 'Already a member',
    retriable: false,
    action: 'Change the member’s role instead of inviting them.',
  },
  already_subscribed: {
    status: 409,
    title: 'Already subscribed',
    retriable: false,
    action: 'Change the plan of the subscription instead of buying another.',
  },
  catalog_breaks_previous: {
    status: 409,
    title: 'Catalog breaks the previous version',
    retriable: false,
    action: 'Keep every published key. Archive it instead of removing it.',
  },
  consent_required: {
    status: 409,
    title: 'Consent required',
    retriable: false,
    action: 'Invite the user with the role owner: a user becomes an owner only by accepting.',
  },
  cycle_not_granted: {
    status: 409,
    title: 'Cycle not granted yet',
    retriable: false,
    action: 'Wait for the payment of the subscription’s cycle: the event is then applied.',
  },
  doubtful_team: {
    status: 409,
    title: 'Ambiguous team',
    retriable: false,
    action: 'Assign the event to the right team, or dismiss it: its ids belong to different teams.',
  },
  email_taken: {
    status: 409,
    title: 'E-mail taken',
    retriable: false,
    action: 'Use an e-mail address that no other user has.',
  },
  hold_captured: {
    status: 409,
    title: 'Hold already captured',
    retriable: false,
    action: 'Do nothing: the hold was captured. Create a new hold for new work.',
  },
  hold_expired: {
    status: 409,
    title: 'Hold expired',
    retriable: false,
    action:
      'Record finished work as a usage. Create a new hold for other work, and extend it before `expiresAt` if the work takes longer.',
  },
  hold_released: {
    status: 409,
    title: 'Hold released',
    retriable: false,
    action: 'Create a new hold: this one was released.',
  },
  idempotency_conflict: {
    status: 409,
    title: 'Idempotency key reused',
    retriable: false,
    action: 'Send a new key with a new request. A key is bound to the first body that was sent with it.',
  },
  invoice_not_ready: {
    status: 409,
    title: 'Invoice not ready',
    retriable: true,
    action: 'Send the same request again after Retry-After: Polar is creating the invoice.',
  },
  last_owner: {
    status: 409,
    title: 'Last owner',
    retriable: false,
    action: 'Invite another owner first, or delete the team.',
  },
  member_refused: {
    status: 409,
    title: 'Member refused by Polar',
    retriable: false,
    action: 'Give the users that the detail names another e-mail address or another role.',
  },
  money_without_credits: {
    status: 409,
    title: 'Payment without credits',
    retriable: false,
    action: 'Refund the order at Polar, or assign or dismiss its event.',
  },
  needs_approval: {
    status: 409,
    title: 'Approval needed',
    retriable: false,
    action: 'Approve or dismiss the repair: it is too large to be applied automatically.',
  },
  no_subscription: {
    status: 409,
    title: 'No subscription',
    retriable: false,
    action: 'Subscribe with a checkout first.',
  },
  not_awaiting_approval: {
    status: 409,
    title: 'Not awaiting approval',
    retriable: false,
    action: 'Approve only events with the parked code needs_approval; retry the others.',
  },
  not_parked: {
    status: 409,
    title: 'Event not parked',
    retriable: false,
    action: 'Do nothing: only a parked event can be retried, assigned or dismissed.',
  },
  order_with_seats: {
    status: 409,
    title: 'Order with seats',
    retriable: false,
    action: 'Refund the order at Polar and remove the seats from the product there: our products have none.',
  },
  order_without_product: {
    status: 409,
    title: 'Order without a product',
    retriable: false,
    action: 'Refund the order at Polar, or adjust the team’s credits and dismiss the event.',
  },
  payments_not_ready: {
    status: 409,
    title: 'Payments not set up',
    retriable: false,
    action: 'Set up payments in the Polar organisation.',
  },
  personal_team: {
    status: 409,
    title: 'Personal Team',
    retriable: false,
    action: 'Use another team: a Personal Team cannot be renamed, and is deleted only with its user.',
  },
  personal_team_owner: {
    status: 409,
    title: 'Owner of a Personal Team',
    retriable: false,
    action: 'Create another team to share: a user always owns their Personal Team.',
  },
  polar_conflict: {
    status: 409,
    title: 'Conflict at Polar',
    retriable: false,
    action: 'Read the current state, then decide again: the object has changed at Polar.',
  },
  secret_already_shown: {
    status: 409,
    title: 'Secret already shown',
    retriable: false,
    action:
      'If the answer with the secret was lost, rotate the service key that `id` names, with a new Idempotency-Key.',
  },
  subscription_ended: {
    status: 409,
    title: 'Subscription ended',
    retriable: false,
    action: 'If the subscription is canceled and still active, resume it. Otherwise subscribe again.',
  },
  subscription_inactive: {
    status: 409,
    title: 'Subscription not active',
    retriable: false,
    action: 'Pay the open invoice in the customer portal first.',
  },
  subscription_locked: {
    status: 409,
    title: 'Subscription locked',
    retriable: true,
    action: 'Send the same request again in a moment: another change of the subscription is in progress.',
  },
  subscription_paused: {
    status: 409,
    title: 'Subscription paused',
    retriable: false,
    action: 'Resume or cancel the subscription first.',
  },
  team_deleted: {
    status: 409,
    title: 'Team deleted',
    retriable: false,
    action: 'Use another team: a deleted team can neither spend nor buy.',
  },
  team_needed: {
    status: 409,
    title: 'Team needed',
    retriable: false,
    action: 'Assign a team together with the product: the event has none.',
  },
  team_without_owner: {
    status: 409,
    title: 'Team without an owner',
    retriable: false,
    action: 'Give the team an owner with an e-mail address: Polar needs one.',
  },
  too_many_holds: {
    status: 409,
    title: 'Too many open holds',
    retriable: false,
    action:
      'Capture or release holds of the team, then send the same key again. `limit` is the maximum number of open holds.',
  },
  too_many_limits: {
    status: 409,
    title: 'Too many limits',
    retriable: false,
    action: 'Remove a limit of the team that is no longer needed. `limit` is the maximum number.',
  },
  too_many_webhook_endpoints: {
    status: 409,
    title: 'Too many webhook endpoints',
    retriable: false,
    action: 'Delete a webhook endpoint that is no longer needed. `limit` is the maximum number.',
  },
  too_many_teams: {
    status: 409,
    title: 'Too many teams',
    retriable: false,
    action: 'Delete one of the owner’s teams, or hand one over. `limit` is the maximum number.',
  },
  user_conflict: {
    status: 409,
    title: 'User already exists',
    retriable: false,
    action:
      'Send the same data as the first time, or change the user with PATCH; `differing` names the fields.',
  },

  // 413 and 415: the size and type of the body
  body_too_large: {
    status: 413,
    title: 'Body too large',
    retriable: false,
    action: 'Send at most `limit` bytes; split a batch.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    retriable: false,
    action: 'Send the body as Content-Type: application/json in UTF-8.',
  },

  // 422: the body was parsed, but its content is wrong
  at_in_the_future: {
    status: 422,
    title: 'Time in the future',
    retriable: false,
    action: 'Send an `at` that is not after now.',
  },
  balance_too_large: {
    status: 422,
    title: 'Balance too large',
    retriable: false,
    action: 'Give fewer credits: a team must have less than 10^12.',
  },
  catalog_invalid: {
    status: 422,
    title: 'Invalid catalog',
    retriable: false,
    action: 'Correct the catalog file at the lines that `problems` names.',
  },
  email_refused: {
    status: 422,
    title: 'E-mail refused by Polar',
    retriable: false,
    action: 'Give the user an e-mail address that exists, can receive mail and belongs to no other member.',
  },
  empty_range: {
    status: 422,
    title: 'Empty range',
    retriable: false,
    action: 'Send a `from` that is before `to`.',
  },
  expires_in_the_past: {
    status: 422,
    title: 'Expiry in the past',
    retriable: false,
    action: 'Send an `expiresAt` that is after now.',
  },
  hold_too_long: {
    status: 422,
    title: 'Hold too long',
    retriable: false,
    action: 'Send a shorter `ttlSeconds`: the lifetime of a hold is limited.',
  },
  invalid_quantity: {
    status: 422,
    title: 'Invalid quantity',
    retriable: false,
    action: 'Send at least one quantity, and none below zero.',
  },
  invalid_request: {
    status: 422,
    title: 'Invalid body',
    retriable: false,
    action: 'Correct the fields of the body that `errors` names.',
  },
  member_not_in_team: {
    status: 422,
    title: 'Member not in the team',
    retriable: false,
    action: 'Send the `memberId` of a member: the team limits its members.',
  },
  member_required: {
    status: 422,
    title: 'Member required',
    retriable: false,
    action: 'Send `memberId` with each usage and hold: the team limits its members.',
  },
  occurred_at_out_of_range: {
    status: 422,
    title: 'Time of use out of range',
    retriable: false,
    action: 'Send an `occurredAt` between `earliest` and now.',
  },
  quantity_too_large: {
    status: 422,
    title: 'Quantity too large',
    retriable: false,
    action: 'Send quantities whose amount and price are below 10^12.',
  },
  range_too_long: {
    status: 422,
    title: 'Range too long',
    retriable: false,
    action: 'Request at most `longestDays` days.',
  },
  report_too_large: {
    status: 422,
    title: 'Report too large',
    retriable: false,
    action: 'Request a shorter range or group by fewer keys.',
  },
  unknown_action: {
    status: 422,
    title: 'Unknown action',
    retriable: false,
    action: 'Send an action that GET /v1/catalog lists with a price.',
  },
  unknown_argument: {
    status: 422,
    title: 'Unknown argument',
    retriable: false,
    action: 'Run the command with the arguments in its usage text.',
  },
  unknown_meter: {
    status: 422,
    title: 'Unknown meter',
    retriable: false,
    action: 'Send only meters of the action: `known` lists them.',
  },
  unknown_owner: {
    status: 422,
    title: 'Unknown owner',
    retriable: false,
    action: 'Send the `ownerId` of a user who has signed up and is not erased.',
  },
  unknown_product: {
    status: 422,
    title: 'Unknown product',
    retriable: false,
    action: 'Send the key of a plan or pack that GET /v1/catalog lists.',
  },
  unknown_timezone: {
    status: 422,
    title: 'Unknown time zone',
    retriable: false,
    action: 'Send UTC or a region of the IANA time zone database, such as Europe/Berlin.',
  },
  wrong_product: {
    status: 422,
    title: 'Wrong kind of product',
    retriable: false,
    action: 'Assign a plan to an event of a subscription, and a pack to any other order.',
  },

  // 429: too many requests
  too_many_invitations: {
    status: 429,
    title: 'Too many invitations',
    retriable: true,
    action: 'Wait for Retry-After: a team sends a limited number of invitations a day.',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many requests',
    retriable: true,
    action: 'Wait for the answers of the requests in flight and for Retry-After, then send this again.',
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests within a minute',
    retriable: true,
    action:
      'Wait for Retry-After, then send this again. RateLimit-Policy and RateLimit say how many requests are allowed and left.',
  },

  // 5xx: a failure of our service or of Polar
  internal_error: {
    status: 500,
    title: 'Internal error',
    retriable: false,
    action: 'Report it to us with the `instance`, which names the entry in our log.',
  },
  polar_refused: {
    status: 502,
    title: 'Refused by Polar',
    retriable: false,
    action: 'Report it to us: Polar refuses our settings or our request. `polar` contains its reason.',
  },
  polar_unreadable: {
    status: 502,
    title: 'Unreadable answer from Polar',
    retriable: false,
    action:
      'Read the current state, because a change may have been made. Report it to us: `problems` names the fields that Polar’s answer lacks.',
  },
  catalog_not_published: {
    status: 503,
    title: 'Catalog not published',
    retriable: true,
    action: 'Publish a catalog with npm run catalog:publish, then send the same request again.',
  },
  database_busy: {
    status: 503,
    title: 'Database busy',
    retriable: true,
    action: 'Send the same request with the same key again after Retry-After.',
  },
  database_misconfigured: {
    status: 503,
    title: 'Database misconfigured',
    retriable: true,
    action: 'Correct the settings of the database connection that the detail names; see docs/deployment.md.',
  },
  database_unavailable: {
    status: 503,
    title: 'Database unavailable',
    retriable: true,
    action: 'Send the same request with the same key again after Retry-After.',
  },
  identity_provider_unavailable: {
    status: 503,
    title: 'Identity provider unavailable',
    retriable: true,
    action: 'Send the same request again after Retry-After: the keys that sign tokens could not be fetched.',
  },
  outcome_unknown: {
    status: 503,
    title: 'Outcome unknown',
    retriable: true,
    action: 'Send the same request with the same key again: it is answered once and charged at most once.',
  },
  webhooks_not_configured: {
    status: 503,
    title: 'Webhooks not configured',
    retriable: false,
    action: 'Set WEBHOOK_SIGNING_KEY on API and worker, then send the same request again.',
  },
  overloaded: {
    status: 503,
    title: 'Overloaded',
    retriable: true,
    action: 'Send the same request again after Retry-After.',
  },
  polar_unavailable: {
    status: 503,
    title: 'Polar unavailable',
    retriable: true,
    action: 'Send the same request with the same key again after Retry-After.',
  },
  product_not_synced: {
    status: 503,
    title: 'Product not synced',
    retriable: true,
    action: 'Run npm run polar:sync -- --apply: the product is in the catalog, but not yet at Polar.',
  },
  shutting_down: {
    status: 503,
    title: 'Shutting down',
    retriable: true,
    action: 'Send the same request with the same key again: another process answers it.',
  },
  sync_running: {
    status: 409,
    title: 'Another product sync is running',
    retriable: true,
    action: 'Wait until the other npm run polar:sync has ended, then run this one again.',
  },
  team_busy: {
    status: 503,
    title: 'Team busy',
    retriable: true,
    action: 'Send the same request with the same key again after Retry-After.',
  },
} as const satisfies Record<string, ErrorEntry>;

/** A stable code of {@link errors}. */
export type ErrorCode = keyof typeof errors;

/** All codes, in the order of the table. */
export const errorCodes: readonly ErrorCode[] = Object.keys(errors).filter(isErrorCode);

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errors, code);
}
