import { type Check, within, withinText } from './check.ts';

/**
 * Usage events and their idempotency keys. Old keys are deleted until `key_deletions`; later events must still have
 * theirs.
 */
export const checkKeys: Check = {
  over: 'teams',
  rules: {
    'event-has-key': {
      holds: 'Every usage event has exactly one key, while keys are kept',
      lookNext: 'what deletes from idempotency_keys: the caller’s retry of this event would be debited again',
    },
    'key-has-event': {
      holds: 'Every key of usage has its usage event',
      lookNext:
        'the transfers with this usage_event_id, and a backup for the event: the caller’s retry cannot be answered',
    },
  },
  find: `
    with keys as materialized (
      select k.scope, k.usage_event_id, k.occurred_at, count(*) as keys, min(k.key) as key
        from idempotency_keys k
       where ${withinText('k.scope')} and k.usage_event_id is not null
       group by 1, 2, 3
    ), events as (
      select e.team_id, e.team_id::text as scope, e.id, e.occurred_at, e.recorded_at
        from usage_events e
       where ${within('e.team_id')}
    )
    select case when e.id is null then 'key-has-event' else 'event-has-key' end as rule,
           coalesce(e.team_id, (select t.id from teams t where t.id::text = k.scope)) as team_id,
           case when e.id is null then format('key %s of %s', k.key, k.scope) else format('usage event %s', e.id) end as subject,
           case when e.id is null then format('usage event %s', k.usage_event_id) else 'one key' end as expected,
           case when e.id is null then 'no such event' else format('%s keys', coalesce(k.keys, 0)) end as found
      from events e
      full join keys k on k.usage_event_id = e.id and k.scope = e.scope and k.occurred_at = e.occurred_at
     where e.id is null
        or k.keys > 1
        or (k.keys is null and greatest(e.recorded_at, e.occurred_at) > (select up_to from key_deletions))`,
};
