import { Migration } from '@mikro-orm/migrations';

/** Finds the stored answers that still contain a link. An answer whose link was removed is not in the index. */
export class Links extends Migration {
  override name = '0010-links';

  override up(): void {
    this.addSql(`
create index idempotency_keys_with_link on idempotency_keys (scope, key) where jsonb_exists(response, 'url');
`);
  }
}
