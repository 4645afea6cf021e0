import { type Check, within } from './check.ts';

/** At most one trial per team, each with a claim. */
export const checkTrials: Check = {
  over: 'teams',
  rules: {
    'trial-once': {
      holds: 'A team has at most one trial grant',
      lookNext: 'the grants’ transfers: the later one is wrong',
    },
    'trial-is-claimed': {
      holds:
        'Every trial grant has the claim of the user who created the team, and every claim of a team that is not deleted and whose `team.created` is handled has its grant',
      lookNext: 'select * from trial_claims where team_id = …, and the team’s `team.created` in the inbox',
    },
  },
  find: `
    with trials as materialized (
      select g.team_id, count(*) as trials, string_agg(g.id::text, ', ') as ids
        from grants g
       where ${within('g.team_id')} and g.source = 'trial'
       group by 1
    ), claims as (
      select c.team_id, c.owner_id, c.ordinal from trial_claims c where ${within('c.team_id')}
    )
    select 'trial-once' as rule, team_id, format('grants %s', ids) as subject, '1' as expected, trials::text as found
      from trials
     where trials > 1
    union all
    select 'trial-is-claimed', coalesce(t.team_id, c.team_id), coalesce('grant ' || t.ids, format('claim %s of %s', c.ordinal, c.owner_id)),
           case when t.team_id is null then 'a trial grant' else 'a trial claim' end, 'none'
      from trials t
      full join claims c on c.team_id = t.team_id
     where c.team_id is null
        or (t.team_id is null
            and exists (select from inbox i join teams on teams.id = i.team_id
                         where i.external_id = 'team.created:' || c.team_id and i.status = 'handled'
                           and teams.deleted_at is null))`,
};
