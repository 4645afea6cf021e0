import { Migration } from '@mikro-orm/migrations';

/** Finds the transfers of a team's timeline, which are few, among those of its usage. */
export class Activity extends Migration {
  override name = '0015-activity';

  override up(): void {
    this.addSql(`
create index transfers_without_usage on transfers (team_id, at, id) where kind not in ('spend', 'hold', 'capture', 'release');
`);
  }
}
