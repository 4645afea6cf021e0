import { Migration } from '@mikro-orm/migrations';

/**
 * A writer of a hold has locked its team, so the foreign key's check of each insert is redundant. It took a thirtieth
 * of Postgres' time for a hold. `npm run ledger:verify` finds holds of missing teams.
 */
export class HoldsWithoutForeignKey extends Migration {
  override name = '0003-holds-without-foreign-key';

  override up(): void {
    this.addSql('alter table holds drop constraint if exists holds_team_id_fkey');
  }
}
