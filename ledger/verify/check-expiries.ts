import { type Check, within } from './check.ts';

/** Each change of an expiry is a row. */
export const checkExpiries: Check = {
  over: 'teams',
  rules: {
    'expiry-equals-last-change': {
      holds: 'A grant’s expiry equals its last grant_expiry_changes row',
      lookNext: 'select * from grant_expiry_changes where grant_id = … order by id',
    },
    'expiry-changes-follow-on': {
      holds: 'Each change of an expiry starts from the previous expiry, in the grant’s team',
      lookNext: 'select * from grant_expiry_changes where grant_id = … order by id',
    },
  },
  find: `
    with changes as materialized (
      select g.team_id, g.id, g.expires_at, c.team_id as change_team_id, c.from_expires_at, c.to_expires_at,
             row_number() over later = 1 as is_last,
             lead(c.to_expires_at) over later as before, count(*) over later < count(*) over (partition by g.id) as has_before
        from grant_expiry_changes c
        join grants g on g.id = c.grant_id
       where ${within('g.team_id')}
      window later as (partition by g.id order by c.id desc)
    )
    select 'expiry-equals-last-change' as rule, team_id, format('grant %s', id) as subject,
           coalesce(to_expires_at::text, 'never') as expected, coalesce(expires_at::text, 'never') as found
      from changes
     where is_last and expires_at is distinct from to_expires_at
    union all
    select 'expiry-changes-follow-on', team_id, format('grant %s', id),
           format('from %s, team %s', coalesce(before::text, 'never'), team_id),
           format('from %s, team %s', coalesce(from_expires_at::text, 'never'), change_team_id)
      from changes
     where (has_before and from_expires_at is distinct from before) or change_team_id <> team_id`,
};
