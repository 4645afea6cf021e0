import { Migration } from '@mikro-orm/migrations';

/** Finds a team's waiting events of a type, and the handled events that may be deleted. */
export class WaitingAndHandledEvents extends Migration {
  override name = '0012-waiting-and-handled-events';

  override up(): void {
    this.addSql(`
create index inbox_waiting on inbox (team_id, type) where status in ('received', 'parked');
create index inbox_to_forget on inbox (handled_at)
  where status in ('handled', 'ignored') and decisions = '[]' and type <> 'team.created';
`);
  }
}
