import { type Check, within } from './check.ts';

/** Decimal strings as in receipts. A line in another format adds nothing. */
const decimal = (field: string) =>
  `case when line->>'${field}' ~ '^[0-9]{1,18}([.][0-9]{1,18})?$' then (line->>'${field}')::numeric end`;

/** Compares each receipt's lines with its total. */
export const checkReceipts: Check = {
  over: 'teams',
  rules: {
    'receipt-adds-up': {
      holds: 'A usage event’s credits are the sum of its receipt’s lines',
      lookNext: 'the event’s lines and its transfers: which of the two equals credits',
    },
    'line-is-priced': {
      holds: 'Each line of a receipt costs quantity × unitPrice, rounded up to the micro-credit',
      lookNext: 'the prices of the event’s catalog version',
    },
    'event-has-price-version': {
      holds: 'The price version of every usage event is stored',
      lookNext: 'a backup for the catalog version: receipts and reports cannot be explained without it',
    },
  },
  find: `
    with receipts as materialized (
      select e.team_id, e.id, e.credits, e.price_version, l.credits as lines, l.mispriced
        from usage_events e
       cross join lateral (
         select coalesce(sum(credits), 0) * 1000000 as credits,
                count(*) filter (where credits is distinct from ceil(quantity * unit_price * 1000000) / 1000000) as mispriced
           from jsonb_array_elements(case jsonb_typeof(e.lines) when 'array' then e.lines else '[]' end) as line
          cross join lateral (select ${decimal('credits')} as credits, ${decimal('quantity')} as quantity,
                                     ${decimal('unitPrice')} as unit_price offset 0) as parsed
       ) l
       where ${within('e.team_id')}
         and (e.credits <> l.credits or l.mispriced > 0
              or not exists (select from catalog_versions c where c.version = e.price_version))
    )
    select 'receipt-adds-up' as rule, team_id, format('usage event %s', id) as subject,
           lines::numeric(40, 0)::text as expected, credits::text as found
      from receipts
     where credits <> lines
    union all
    select 'line-is-priced', team_id, format('usage event %s', id), 'quantity × unitPrice, rounded up', format('%s lines that cost something else', mispriced)
      from receipts
     where mispriced > 0
    union all
    select 'event-has-price-version', team_id, format('usage event %s', id), format('catalog version %s', price_version), 'no such version'
      from receipts
     where not exists (select from catalog_versions c where c.version = price_version)`,
};
