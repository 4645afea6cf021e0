import { Migration } from '@mikro-orm/migrations';

/** Finds old messages, and the deliveries of a message, so that delivered messages can be deleted. */
export class OutboxPruning extends Migration {
  override name = '0020-outbox-pruning';

  override up(): void {
    this.addSql(`
create index outbox_by_time on outbox (at);
create index webhook_deliveries_by_message on webhook_deliveries (message_id);
`);
  }
}
