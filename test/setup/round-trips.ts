import type { Pool, PoolClient } from 'pg';

/**
 * Counts how often `work` waits for Postgres, one after the other, on the connections of `pool`. A statement that is
 * sent after an answer waits once more than the answered one did; statements that are sent together wait once.
 *
 * @returns the number of waits, and the statements of each
 */
export async function countRoundTrips<T>(
  pool: Pool,
  work: () => Promise<T>,
): Promise<{ result: T; waits: string[][] }> {
  const waits: string[][] = [];
  let answered = 0;
  const watch = (client: PoolClient) => {
    const query = client.query;
    const watched = (...args: Parameters<typeof query>) => {
      const wait = answered;
      const [statement] = args;
      const text = typeof statement === 'string' ? statement : JSON.stringify(statement);
      waits[wait] = [...(waits[wait] ?? []), text];
      const answer: unknown = Reflect.apply(query, client, args);
      const count = () => {
        answered = Math.max(answered, wait + 1);
      };
      if (answer instanceof Promise) answer.then(count, count);
      return answer;
    };
    client.query = watched as typeof query;
    restore.push(() => {
      client.query = query;
    });
  };
  const restore: (() => void)[] = [];
  const seen = new Set<PoolClient>();
  const acquired = (client: PoolClient) => {
    if (seen.has(client)) return;
    seen.add(client);
    watch(client);
  };
  pool.on('acquire', acquired);
  try {
    return { result: await work(), waits };
  } finally {
    pool.off('acquire', acquired);
    for (const undo of restore) undo();
  }
}
