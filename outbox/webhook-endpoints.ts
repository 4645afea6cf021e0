import { randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import type { Database } from '../database/connection.ts';
import { type ListPage, type ListRange, pageOfRows, uuidCursor } from '../database/list-page.ts';
import { DomainError } from '../domain-error.ts';
import { openSecret, type SigningKeys, sealSecret } from './seal-secret.ts';

/** How long the previous secret still signs after a rotation, so that the receiver can change its own. */
const rotationMs = 24 * 3_600_000;
const maxEndpoints = 50;

/** An endpoint of another system. Its secrets are read separately. */
export interface WebhookEndpoint {
  id: string;
  url: string;
  /** Null: it gets the messages of all teams. */
  teamId: string | null;
  /** Why it gets no messages currently: `gone` (it answered 410), `failing` (for five days) or `operator`. */
  disabledReason: 'gone' | 'failing' | 'operator' | null;
  disabledAt: Date | null;
  failingSince: Date | null;
  createdAt: Date;
}

/**
 * Creates an endpoint. It gets the messages that are stored from then on.
 * @throws DomainError `unknown_team`, `too_many_webhook_endpoints`
 */
export async function createWebhookEndpoint(
  em: EntityManager,
  keys: SigningKeys,
  { url, teamId }: { url: string; teamId: string | null },
): Promise<WebhookEndpoint> {
  await em.execute(`select pg_advisory_xact_lock(hashtext('webhook_endpoints'))`);
  const [count] = await em.execute<{ endpoints: number }[]>(
    'select count(*)::int as endpoints from webhook_endpoints where deleted_at is null',
  );
  if ((count?.endpoints ?? 0) >= maxEndpoints) {
    throw new DomainError('too_many_webhook_endpoints', `There may be at most ${maxEndpoints} endpoints`, {
      limit: maxEndpoints,
    });
  }
  if (teamId !== null) {
    const known = await em.execute('select id from teams where id = ? and deleted_at is null', [teamId]);
    if (known.length === 0) throw new DomainError('unknown_team', `There is no team ${teamId}`);
  }
  const id = uuidv7();
  await em.execute(
    'insert into webhook_endpoints (id, url, team_id, secret, created_at) values (?, ?, ?, ?, billing_now())',
    [id, url, teamId, sealSecret(keys, id, newSecret())],
  );
  return findWebhookEndpoint(em, id);
}

/** @throws DomainError `unknown_webhook_endpoint` */
export async function findWebhookEndpoint(em: EntityManager, id: string): Promise<WebhookEndpoint> {
  const [row] = await em.execute<EndpointRow[]>(
    `select ${columns} from webhook_endpoints where id = ? and deleted_at is null`,
    [id],
  );
  if (!row) throw unknownEndpoint(id);
  return toEndpoint(row);
}

/** Every endpoint, newest first. */
export async function listWebhookEndpoints(
  em: EntityManager,
  { limit, cursor }: ListRange,
): Promise<ListPage<WebhookEndpoint>> {
  const before = cursor === undefined ? 'ffffffff-ffff-ffff-ffff-ffffffffffff' : uuidCursor(cursor);
  const rows = await em.execute<EndpointRow[]>(
    `select ${columns} from webhook_endpoints where deleted_at is null and id < ? order by id desc limit ?`,
    [before, limit + 1],
  );
  return pageOfRows(rows.map(toEndpoint), limit);
}

/**
 * Changes an endpoint. If it is enabled, the messages that were stored meanwhile are delivered, in order.
 * @throws DomainError `unknown_webhook_endpoint`
 */
export async function changeWebhookEndpoint(
  em: EntityManager,
  id: string,
  { url, enabled }: { url?: string | undefined; enabled?: boolean | undefined },
): Promise<WebhookEndpoint> {
  await lockEndpoint(em, id);
  if (url !== undefined) await em.execute('update webhook_endpoints set url = ? where id = ?', [url, id]);
  if (enabled === true) {
    await em.execute(
      'update webhook_endpoints set disabled_at = null, disabled_reason = null, failing_since = null where id = ?',
      [id],
    );
    await em.execute(
      `update webhook_deliveries set signalled = false, next_attempt_at = billing_now()
        where endpoint_id = ? and status = 'pending'`,
      [id],
    );
  }
  if (enabled === false) {
    await em.execute(
      `update webhook_endpoints set disabled_at = billing_now(), disabled_reason = 'operator'
        where id = ? and disabled_at is null`,
      [id],
    );
  }
  return findWebhookEndpoint(em, id);
}

/**
 * Deletes an endpoint. Its deliveries are kept, and none is sent any more.
 * @throws DomainError `unknown_webhook_endpoint`
 */
export async function deleteWebhookEndpoint(em: EntityManager, id: string): Promise<void> {
  await lockEndpoint(em, id);
  await em.execute('update webhook_endpoints set deleted_at = billing_now() where id = ?', [id]);
}

/**
 * Gives an endpoint a new secret. For 24 hours messages are signed with both, so that the receiver can change its own.
 * @returns until when the previous secret signs too
 * @throws DomainError `unknown_webhook_endpoint`
 */
export async function rotateWebhookSecret(em: EntityManager, keys: SigningKeys, id: string): Promise<Date> {
  await lockEndpoint(em, id);
  const [row] = await em.execute<{ until: string }[]>(
    `update webhook_endpoints
        set previous_secret = secret, secret = ?, previous_secret_until = billing_now() + make_interval(secs => ?)
      where id = ?
     returning extract(epoch from previous_secret_until) * 1000 as until`,
    [sealSecret(keys, id, newSecret()), rotationMs / 1_000, id],
  );
  if (!row) throw unknownEndpoint(id);
  return new Date(Number(row.until));
}

/**
 * The secrets that sign currently, the newest first.
 * @throws DomainError `unknown_webhook_endpoint`; Error if no key of WEBHOOK_SIGNING_KEY opens them
 */
export async function readWebhookSecrets(
  em: EntityManager,
  keys: SigningKeys,
  id: string,
): Promise<[string, ...string[]]> {
  const [row] = await em.execute<{ secret: Buffer; previous: Buffer | null }[]>(
    `select secret, case when previous_secret_until > billing_now() then previous_secret end as previous
       from webhook_endpoints where id = ? and deleted_at is null`,
    [id],
  );
  if (!row) throw unknownEndpoint(id);
  const open = (bytes: Buffer) => openSecret(keys, id, bytes).secret;
  return [open(row.secret), ...(row.previous ? [open(row.previous)] : [])];
}

/**
 * Encrypts each secret of an older key again, with the newest key. Then the older key is not needed any more. Safe to run
 * at any time.
 * @returns how many endpoints had such secrets
 * @throws the first error, after the other endpoints; Error if no key opens a secret
 */
export async function resealWebhookSecrets(database: Database, keys: SigningKeys): Promise<number> {
  if (keys.length === 0) return 0;
  const { rows } = await database.pool.query<{ id: string }>(
    'select id from webhook_endpoints where deleted_at is null',
  );
  let resealed = 0;
  const errors: unknown[] = [];
  for (const { id } of rows) {
    try {
      if (await database.transaction((em) => resealSecretsOf(em, keys, id))) resealed += 1;
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
  return resealed;
}

/** @returns whether a secret was encrypted again; false also for an endpoint that was deleted meanwhile */
async function resealSecretsOf(em: EntityManager, keys: SigningKeys, id: string): Promise<boolean> {
  const [row] = await em.execute<{ secret: Buffer; previous: Buffer | null }[]>(
    `select secret, previous_secret as previous from webhook_endpoints
      where id = ? and deleted_at is null for no key update`,
    [id],
  );
  if (!row) return false;
  const reseal = (bytes: Buffer) => {
    const { secret, isNewest } = openSecret(keys, id, bytes);
    return isNewest ? bytes : sealSecret(keys, id, secret);
  };
  const [secret, previous] = [reseal(row.secret), row.previous && reseal(row.previous)];
  if (secret === row.secret && previous === row.previous) return false;
  await em.execute('update webhook_endpoints set secret = ?, previous_secret = ? where id = ?', [
    secret,
    previous,
    id,
  ]);
  return true;
}

/** A secret of Standard Webhooks: 24 to 64 random bytes. */
function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/** @throws DomainError `unknown_webhook_endpoint` */
export async function lockEndpoint(em: EntityManager, id: string): Promise<void> {
  const rows = await em.execute(
    'select id from webhook_endpoints where id = ? and deleted_at is null for no key update',
    [id],
  );
  if (rows.length === 0) throw unknownEndpoint(id);
}

function unknownEndpoint(id: string): DomainError {
  return new DomainError('unknown_webhook_endpoint', `There is no webhook endpoint ${id}`);
}

const columns = `id, url, team_id, disabled_reason, extract(epoch from disabled_at) * 1000 as disabled_at,
                 extract(epoch from failing_since) * 1000 as failing_since, extract(epoch from created_at) * 1000 as created_at`;

interface EndpointRow {
  id: string;
  url: string;
  team_id: string | null;
  disabled_reason: WebhookEndpoint['disabledReason'];
  disabled_at: string | null;
  failing_since: string | null;
  created_at: string;
}

function toEndpoint(row: EndpointRow): WebhookEndpoint {
  const instant = (milliseconds: string | null) =>
    milliseconds === null ? null : new Date(Number(milliseconds));
  return {
    id: row.id,
    url: row.url,
    teamId: row.team_id,
    disabledReason: row.disabled_reason,
    disabledAt: instant(row.disabled_at),
    failingSince: instant(row.failing_since),
    createdAt: new Date(Number(row.created_at)),
  };
}
