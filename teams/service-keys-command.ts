import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { connectDatabase } from '../database/connection.ts';
import { type ServiceKey, scopes } from '../database/entities/service-key.ts';
import { readEnvironment } from '../environment.ts';
import { runCommand } from '../run-command.ts';
import { issueServiceKey, listServiceKeys, revokeServiceKey } from './service-keys.ts';

const usage = `Usage:
  npm run service-keys -- create --name <name> --scopes ${scopes.join(',')}
  npm run service-keys -- list
  npm run service-keys -- revoke --id <id>
Who does it is recorded: --by <name>, without it the user of the operating system.`;

const by = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .default(() => userInfo().username);

const commandSchema = z.discriminatedUnion('do', [
  z.object({
    do: z.literal('create'),
    name: z.string().trim().min(1).max(100),
    scopes: z
      .string()
      .transform((list) => list.split(','))
      .pipe(z.array(z.enum(scopes)).min(1)),
    by,
  }),
  z.object({ do: z.literal('revoke'), id: z.guid(), by }),
  z.object({ do: z.literal('list') }),
]);

/** `npm run service-keys`: creates, lists and revokes service keys. Exits with 2 for wrong arguments. */
await runCommand(async () => {
  const command = parseCommand(process.argv.slice(2));
  if (!command) {
    console.error(usage);
    process.exitCode = 2;
    return;
  }
  const database = await connectDatabase(readEnvironment(process.env, ['databaseUrl']).databaseUrl, {
    pool: 1,
  });
  try {
    if (command.do === 'create') {
      const { name, scopes } = command;
      const actor = `operator:${command.by}`;
      const { id, key } = await database.transaction((em) => issueServiceKey(em, { name, scopes, actor }));
      console.log(
        `${key}\n\nThe key is not shown again. To revoke it: npm run service-keys -- revoke --id ${id}`,
      );
    } else if (command.do === 'revoke') {
      const { id } = command;
      await database.transaction((em) => revokeServiceKey(em, { id, actor: `operator:${command.by}` }));
      console.log(`${command.id} is revoked`);
    } else {
      for (let cursor: string | undefined; ; ) {
        const { data, nextCursor } = await listServiceKeys(database.fork(), { limit: 100, cursor });
        for (const key of data) {
          console.log([key.id, key.name, key.scopes.join(','), describe(key)].join('\t'));
        }
        if (nextCursor === null) break;
        cursor = nextCursor;
      }
    }
  } finally {
    await database.close();
  }
});

function describe({ revokedAt, expiresAt, lastUsedAt }: ServiceKey): string {
  if (revokedAt) return `revoked ${revokedAt.toISOString()}`;
  if (expiresAt && expiresAt.getTime() <= Date.now()) return `expired ${expiresAt.toISOString()}`;
  return lastUsedAt ? `in force, used ${lastUsedAt.toISOString()}` : 'in force, never used';
}

function parseCommand(args: string[]): z.output<typeof commandSchema> | undefined {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        name: { type: 'string' },
        scopes: { type: 'string' },
        id: { type: 'string' },
        by: { type: 'string' },
      },
    });
    return commandSchema.parse({ do: positionals[0], ...values });
  } catch {
    return undefined;
  }
}
