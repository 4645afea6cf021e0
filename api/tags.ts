/** The groups of operations in the OpenAPI document, in the order of its navigation. */
export const tags = {
  Usage: 'Price and debit usage, one request or a batch at a time; report what was used.',
  Holds: 'Set credits aside for work whose price is known later, then capture or release them.',
  Credits: 'The balance, its forecast and every transfer of credits.',
  Limits: 'Limit what a member or an API key may consume of the team’s credits.',
  Adjustments: 'Give or take credits by hand, with a reason.',
  'Users and teams': 'Users, their Personal Teams, shared teams, members and invitations.',
  Catalog: 'The plans, packs and prices in force.',
  Billing: 'Checkouts, subscriptions, invoices and the customer portal at Polar.',
  Webhooks:
    'Endpoints of other systems that get messages, and the endpoint that receives the webhooks of Polar.',
  Operations: 'For operators: the inbox of events, the audit log, reconciliation and health.',
} as const satisfies Record<string, string>;

export type Tag = keyof typeof tags;
