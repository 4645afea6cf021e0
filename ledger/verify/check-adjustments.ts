import { type Check, within } from './check.ts';

/** Adjustments, and the credits that they gave or took. */
export const checkAdjustments: Check = {
  over: 'teams',
  rules: {
    'adjustment-is-applied': {
      holds:
        'An adjustment that gives credits has a grant, one that takes credits has transfers, of exactly its credits',
      lookNext:
        'select * from transfers where team_id = … and reference = ‘adjustment:{id}’, and the grant with that business key',
    },
  },
  find: `
    select 'adjustment-is-applied' as rule, a.team_id, format('adjustment %s', a.id) as subject, a.credits::text as expected,
           (coalesce(g.granted, 0) - t.taken)::text as found
      from adjustments a
      left join grants g on g.team_id = a.team_id and g.business_key = 'adjustment:' || a.id
     cross join lateral (
       select coalesce(sum(t.amount), 0) as taken
         from transfers t
        where t.team_id = a.team_id and t.at = a.created_at and t.kind = 'adjust' and t.reference = 'adjustment:' || a.id
     ) t
     where ${within('a.team_id')}
       and a.credits <> coalesce(g.granted, 0) - t.taken`,
};
