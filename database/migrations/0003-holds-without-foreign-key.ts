import { Migration } from '@mikro-orm/migrations';

/**
 * Whoever makes a hold has locked its team, so the check behind each insert found what was known; it was a thirtieth of what
 * a hold costs Postgres. `npm run ledger:verify` finds holds of no team.
 */
export class HoldsWithoutForeignKey extends Migration {
  override name = '0003-holds-without-foreign-key';

  override up(): void {
    this.addSql('alter table holds drop constraint if exists holds_team_id_fkey');
  }
}
