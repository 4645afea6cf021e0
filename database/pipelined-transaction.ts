import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import type { Pool, PoolClient, QueryConfig, QueryResult } from 'pg';
import { preparedStatement } from './prepared-statement.ts';

/**
 * Runs `work` in one transaction of MikroORM that waits for Postgres only where it needs rows. An INSERT, UPDATE or
 * DELETE without RETURNING is sent and not waited for: Postgres executes the statements of a connection in order, so
 * later reads see it. If such a write fails, the next read or the commit throws its error. Within `work`, MikroORM
 * does not know how many rows such a write has changed.
 *
 * @param first  sent together with `begin`; `work` gets its answer
 * @returns the result of `work`, after the commit is durable
 */
export async function inPipelinedTransaction<T>(
  orm: MikroORM,
  pool: Pool,
  first: QueryConfig,
  work: (em: EntityManager, first: Promise<QueryResult>) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let usable = true;
  try {
    const em = orm.em.fork();
    const pipeline = beginPipeline(client, first);
    em.setTransactionContext(pipeline);
    // MikroORM would put the values into the text, and Postgres would parse and plan each statement anew.
    em.execute = async <Rows>(sql: Parameters<typeof em.execute>[0], values: unknown = []) => {
      if (typeof sql !== 'string' || !Array.isArray(values))
        throw new Error('a step executes SQL with a list of values');
      const { rows } = await pipeline.execute(preparedStatement(sql, values));
      return rows as Rows;
    };
    let result: T;
    try {
      result = await work(em, pipeline.first);
      await em.flush();
    } catch (error) {
      pipeline.end();
      await client.query('rollback').catch(() => {
        usable = false;
      });
      throw pipeline.failedWrite() ?? error;
    }
    pipeline.end();
    // If a write fails, the following commit is answered with a rollback.
    const committed = await pipeline.send('commit').catch((error: unknown) => {
      usable = false;
      throw pipeline.failedWrite() ?? error;
    });
    const failed = pipeline.failedWrite();
    if (failed) throw failed;
    if (committed.command !== 'COMMIT')
      throw new Error(
        'the commit was answered with a rollback: the error of a read was caught in the transaction',
      );
    return result;
  } finally {
    client.release(!usable);
  }
}

/** The statements of one transaction. `executeQuery` is what MikroORM calls of a transaction. */
interface Pipeline {
  /** The answer to the statement that was sent together with `begin`. */
  first: Promise<QueryResult>;
  send(statement: string | QueryConfig): Promise<QueryResult>;
  executeQuery(statement: { sql: string }): Promise<{ rows: unknown[]; numAffectedRows?: bigint }>;
  /** The same for our own SQL. */
  execute(statement: QueryConfig): Promise<{ rows: unknown[]; numAffectedRows?: bigint }>;
  /**
   * Refuses further statements of MikroORM. Reads that run together may continue after one of them has failed, when the
   * connection already belongs to another transaction.
   */
  end(): void;
  /** The error of the first write that failed, of those that were not waited for. */
  failedWrite(): Error | undefined;
}

function beginPipeline(client: PoolClient, statement: QueryConfig): Pipeline {
  let failed: Error | undefined;
  let corked = false;
  let ended = false;
  const begun = send('begin');
  const first = Promise.all([send(statement), begun]).then(([answer]) => answer);
  const end = () => {
    ended = true;
  };
  return {
    first,
    send,
    execute,
    executeQuery: ({ sql }) => execute({ text: sql }),
    end,
    failedWrite: () => failed,
  };

  async function execute(statement: QueryConfig) {
    const isAhead = isSentAhead(statement.text);
    if (isAhead) await begun; // a write outside the transaction could not be rolled back
    if (ended) throw new Error('the transaction of this statement has ended');
    if (isAhead) {
      send(statement).catch((error: Error) => {
        failed ??= error;
      });
      return { rows: [] };
    }
    const { rows, rowCount } = await send(statement);
    return { rows, numAffectedRows: BigInt(rowCount ?? 0) };
  }

  /** Statements that are sent before the next turn of the event loop are one packet. */
  function send(statement: string | QueryConfig): Promise<QueryResult> {
    const { stream } = client.connection;
    if (!corked) {
      corked = true;
      stream.cork();
      process.nextTick(() => {
        corked = false;
        stream.uncork();
      });
    }
    return client.query(statement);
  }
}

function isSentAhead(sql: string): boolean {
  return /^\s*(insert|update|delete)\b/i.test(sql) && !/\breturning\b/i.test(sql);
}
