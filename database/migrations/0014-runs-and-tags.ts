import { Migration } from '@mikro-orm/migrations';

/**
 * Usage and holds name the workflow run and the step that they are for, and up to five tags. The events and holds of a
 * run are found by index. The new columns are empty, so each index is built by one scan and has no entries.
 */
export class RunsAndTags extends Migration {
  override name = '0014-runs-and-tags';

  override up(): void {
    this.addSql(`
alter table usage_events
  add column run_id text check (length(run_id) between 1 and 128),
  add column step_id text check (length(step_id) between 1 and 128),
  add column tags jsonb check (jsonb_typeof(tags) = 'object');
alter table holds
  add column run_id text check (length(run_id) between 1 and 128),
  add column step_id text check (length(step_id) between 1 and 128),
  add column tags jsonb check (jsonb_typeof(tags) = 'object');
create index usage_events_of_run on usage_events (team_id, run_id, occurred_at, id) where run_id is not null;
create index holds_of_run on holds (team_id, run_id, id) where run_id is not null;
`);
  }
}
