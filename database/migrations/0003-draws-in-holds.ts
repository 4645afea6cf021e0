import { Migration } from '@mikro-orm/migrations';

/**
 * A hold's draws stand in its own row. They are made with it and never change, and a table of their own cost each hold
 * a row and an index entry more, and each capture a look into it.
 */
export class DrawsInHolds extends Migration {
  override name = '0003-draws-in-holds';

  override up(): void {
    this.addSql(`
alter table holds add draw_grants uuid[], add draw_credits bigint[];

update holds h
   set draw_grants = d.grants, draw_credits = d.credits
  from (select hold_id, array_agg(grant_id order by grant_id) as grants, array_agg(credits order by grant_id) as credits
          from hold_draws group by 1) d
 where d.hold_id = h.id;

alter table holds
  alter draw_grants set not null,
  alter draw_credits set not null,
  add constraint hold_draws_are_pairs check (cardinality(draw_grants) = cardinality(draw_credits) and cardinality(draw_grants) > 0),
  add constraint hold_draws_are_positive check (0 < all (draw_credits));

drop table hold_draws;

-- Whoever makes a hold has locked its team, and its grants name the team: the check behind each insert found what was known.
alter table holds drop constraint holds_team_id_fkey;

create trigger draws_are_immutable before update of draw_grants, draw_credits on holds
  for each statement execute function refuse_rewriting_history();
`);
  }
}
