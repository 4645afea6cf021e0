import { Migration } from '@mikro-orm/migrations';

/** The report of each run of the reconciliation. */
export class Reconciliations extends Migration {
  override name = '0002-reconciliations';

  override up(): void {
    this.addSql(`
create table reconciliations (
  id uuid primary key,
  started_at timestamptz(3) not null,
  finished_at timestamptz(3),
  status text not null check (status in ('running', 'waiting', 'completed', 'failed')),
  counts jsonb not null,
  findings jsonb not null,
  check ((finished_at is null) = (status in ('running', 'waiting')))
);
create index reconciliations_newest_first on reconciliations (started_at desc, id desc);
`);
  }
}
