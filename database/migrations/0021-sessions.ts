import { Migration } from '@mikro-orm/migrations';

/** Sessions of users in a browser. In wall time, because they concern callers, not credits. */
export class Sessions extends Migration {
  override name = '0021-sessions';

  override up(): void {
    this.addSql(`
create table sessions (
  hash bytea primary key check (length(hash) = 32),
  user_id text not null references users (id),
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null check (expires_at > created_at)
);
create index sessions_of_user on sessions (user_id, created_at);
create index sessions_by_end on sessions (expires_at);
`);
  }
}
