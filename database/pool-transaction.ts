import type { Pool, PoolClient } from 'pg';

/**
 * Runs `work` in one transaction on a connection of the pool. If it fails, the connection is closed, because it may still
 * be in the transaction.
 */
export async function inPoolTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let usable = false;
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    usable = true;
    return result;
  } finally {
    client.release(!usable);
  }
}

/**
 * Runs `read` in one transaction whose statements all see the same state of the database. It can only read. Its first
 * statements are sent with `begin`, without waiting for the answer. If `begin` fails, their result is not used. The end of
 * the transaction is not waited for, because it decides nothing.
 */
export async function readSnapshot<T>(pool: Pool, read: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    const begun = client.query('begin isolation level repeatable read read only');
    const [result] = await Promise.all([read(client), begun]);
    void client.query('commit').then(
      () => client.release(),
      () => client.release(true),
    );
    return result;
  } catch (error) {
    client.release(true);
    throw error;
  }
}
