import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { connectDatabase, readClock } from '../database/connection.ts';
import { type Scope, ServiceKey, scopes } from '../database/entities/service-key.ts';
import { DomainError } from '../domain-error.ts';

/**
 * Makes a service key. The key itself is told here and never again: only its SHA-256 is kept.
 * @returns the row's id, and the key that goes into `Authorization: Bearer`
 */
export async function issueServiceKey(
  em: EntityManager,
  { name, scopes }: { name: string; scopes: Scope[] },
): Promise<{ id: string; key: string }> {
  const id = uuidv7();
  const key = `wl_${randomBytes(32).toString('base64url')}`;
  await em.insert(ServiceKey, {
    id,
    name,
    hash: hashServiceKey(key),
    scopes,
    createdAt: await readClock(em),
  });
  return { id, key };
}

/**
 * From now on (in a process that has just used it: within two seconds) the key opens nothing.
 * @throws DomainError 404 `unknown_service_key`
 */
export async function revokeServiceKey(em: EntityManager, id: string): Promise<void> {
  const revoked = await em.nativeUpdate(
    ServiceKey,
    { id, revokedAt: null },
    { revokedAt: await readClock(em) },
  );
  if (revoked === 0) {
    throw new DomainError(404, 'unknown_service_key', `There is no service key ${id} in force`, { id });
  }
}

/** The key with this SHA-256, unless it was revoked. */
export async function findServiceKey(em: EntityManager, hash: Buffer): Promise<ServiceKey | null> {
  return em.findOne(ServiceKey, { hash, revokedAt: null });
}

/** A key is 32 random bytes, so a plain hash hides it; a slow one would only slow every request down. */
export function hashServiceKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

const usage = `Usage:
  npm run service-keys -- create --name <name> --scopes ${scopes.join(',')}
  npm run service-keys -- list
  npm run service-keys -- revoke --id <id>`;

async function runCommand(args: string[]): Promise<void> {
  const command = parseCommand(args);
  if (!command) {
    console.error(usage);
    process.exitCode = 2;
    return;
  }
  const { readEnvironment } = await import('../environment.ts');
  const { databaseUrl } = readEnvironment(process.env, ['databaseUrl']);
  const database = await connectDatabase(databaseUrl, { pool: 1 });
  try {
    const em = database.fork();
    if (command.do === 'create') {
      const { id, key } = await issueServiceKey(em, command);
      console.log(
        `${key}\n\nThis is the only time that it is shown. To revoke it: npm run service-keys -- revoke --id ${id}`,
      );
    } else if (command.do === 'revoke') {
      await revokeServiceKey(em, command.id);
      console.log(`${command.id} is revoked`);
    } else {
      for (const { id, name, scopes, revokedAt } of await em.findAll(ServiceKey, {
        orderBy: { id: 'asc' },
      })) {
        console.log(
          [id, name, scopes.join(','), revokedAt ? `revoked ${revokedAt.toISOString()}` : 'in force'].join(
            '\t',
          ),
        );
      }
    }
  } finally {
    await database.close();
  }
}

const command = z.discriminatedUnion('do', [
  z.object({
    do: z.literal('create'),
    name: z.string().trim().min(1).max(100),
    scopes: z
      .string()
      .transform((list) => list.split(','))
      .pipe(z.array(z.enum(scopes)).min(1)),
  }),
  z.object({ do: z.literal('revoke'), id: z.guid() }),
  z.object({ do: z.literal('list') }),
]);

function parseCommand(args: string[]): z.output<typeof command> | undefined {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { name: { type: 'string' }, scopes: { type: 'string' }, id: { type: 'string' } },
    });
    return command.parse({ do: positionals[0], ...values });
  } catch {
    return undefined;
  }
}

if (import.meta.main) await runCommand(process.argv.slice(2));
