import { Migration } from '@mikro-orm/migrations';

/**
 * Zero is a quantity: a usage may cost nothing and a hold may set nothing aside.
 */
export class ZeroAndKeyDeletions extends Migration {
  override name = '0007-zero-and-key-deletions';

  override up(): void {
    this.addSql(`
alter table usage_events drop constraint usage_events_credits_check;
alter table usage_events add constraint usage_events_credits_check check (credits >= 0);
alter table holds drop constraint holds_credits_check;
alter table holds add constraint holds_credits_check check (credits >= 0);
`);
  }
}
