import type { Pool, PoolClient } from 'pg';

/**
 * Runs `read` in one transaction whose statements all see the same state of the database. It can only read.
 */
export async function readSnapshot<T>(pool: Pool, read: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let usable = false;
  try {
    await client.query('begin isolation level repeatable read read only');
    const result = await read(client);
    await client.query('commit');
    usable = true;
    return result;
  } finally {
    client.release(!usable); // if it failed, the connection is still in a transaction
  }
}
