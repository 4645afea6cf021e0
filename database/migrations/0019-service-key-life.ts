import { Migration } from '@mikro-orm/migrations';

/**
 * The life of a service key: its expiry, its last use, and the secret that it had before its last rotation. In wall time,
 * because it concerns callers, not credits.
 */
export class ServiceKeyLife extends Migration {
  override name = '0019-service-key-life';

  override up(): void {
    this.addSql(`
alter table service_keys
  add column expires_at timestamptz(3),
  add column last_used_at timestamptz(3),
  add column rotated_at timestamptz(3),
  add column previous_hash bytea unique check (length(previous_hash) = 32),
  add column previous_valid_until timestamptz(3),
  add check ((previous_hash is null) = (previous_valid_until is null));
`);
  }
}
