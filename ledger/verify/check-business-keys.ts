import { type Check, within } from './check.ts';

/** The key of a grant says what it was made for, and is unique. */
export const checkBusinessKeys: Check = {
  over: 'teams',
  rules: {
    'business-key-says-what-paid': {
      holds:
        'A grant’s key is trial:{team}, order:{order}, allotment:{subscription}:{start}, drip:{order}:{at} or adjustment:{id}, as its source and columns say',
      lookNext: 'the transfer that issued the grant: its reference is the original key',
    },
    'business-key-is-unique': {
      holds: 'No two grants have the same key',
      lookNext: 'whether the unique index on grants.business_key exists: the same money was granted twice',
    },
    'grant-has-order': {
      holds: 'The order of a grant belongs to the grant’s team',
      lookNext: 'the order at Polar; reconciliation stores missing orders',
    },
    'subscription-has-one-team': {
      holds: 'The subscription of a grant or of an order belongs to the same team',
      lookNext: 'the decisions of the inbox rows of the subscription and of its orders',
    },
    'issue-names-business-key': {
      holds: 'The transfer that issues a grant has the grant’s key as its reference',
      lookNext: 'which of the two was changed',
    },
  },
  find: `
    with keyed as materialized (
      select g.team_id, g.id, g.source, g.business_key, g.order_id, g.subscription_id, g.created_at,
             case g.source
               when 'trial' then array['trial:' || g.team_id]
               when 'purchase' then array['order:' || g.order_id]
               when 'adjustment' then array['adjustment:' || (select a.id from adjustments a where a.team_id = g.team_id and 'adjustment:' || a.id = g.business_key)]
               else array['order:' || g.order_id,
                          'drip:' || g.order_id || ':' || to_char(g.effective_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                          'allotment:' || g.subscription_id || ':' || to_char(g.effective_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')]
             end as keys
        from grants g
       where ${within('g.team_id')}
    )
    select 'business-key-says-what-paid' as rule, team_id, format('grant %s (%s)', id, source) as subject,
           coalesce(nullif(array_to_string(keys, ' or '), ''), 'a key of what it was made for') as expected, business_key as found
      from keyed
     where (business_key = any(keys)) is not true
    union all
    select 'business-key-is-unique', min(team_id::text)::uuid, format('key %s', business_key), 'one grant', format('grants %s', string_agg(id::text, ', '))
      from keyed
     group by business_key
    having count(*) > 1
    union all
    select 'grant-has-order', k.team_id, format('grant %s', k.id), format('order %s of team %s', k.order_id, k.team_id),
           coalesce('of team ' || o.team_id, 'no such order')
      from keyed k
      left join orders o on o.id = k.order_id
     where k.order_id is not null and o.team_id is distinct from k.team_id
    union all
    select 'subscription-has-one-team', billed.team_id, format('%s of subscription %s', billed.what, s.id), format('of team %s', billed.team_id), format('of team %s', s.team_id)
      from (select team_id, format('grant %s', id) as what, subscription_id from keyed where subscription_id is not null
             union all
            select o.team_id, format('order %s', o.id), o.subscription_id from orders o where ${within('o.team_id')}) billed
      join subscriptions s on s.id = billed.subscription_id
     where s.team_id <> billed.team_id
    union all
    select 'issue-names-business-key', k.team_id, format('grant %s', k.id), k.business_key, t.reference
      from keyed k
      join transfers t on t.team_id = k.team_id and t.at = k.created_at and t.grant_id = k.id and t.from_account = 'issued'
     where t.reference is distinct from k.business_key`,
};
