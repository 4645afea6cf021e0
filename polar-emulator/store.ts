import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { notFound, PolarRefusal } from './polar-refusal.ts';
import type { Records } from './records.ts';

type Kind = keyof Records;

/** One kind of record, in the order of insertion. */
export interface Collection<R> {
  get(id: string): R | undefined;
  /** @throws PolarRefusal 404 if there is no such record */
  demand(id: string): R;
  all(): R[];
  put(record: R): R;
  delete(id: string): void;
}

export type Store = { readonly [K in Kind]: Collection<Records[K]> } & {
  /**
   * Runs `work` as one unit: everything that it stored is written before this returns. If it throws, nothing is
   * written (except for a refusal with `keep`).
   */
  transaction<T>(work: () => T): T;
  close(): void;
};

/** `[kind, id, record]`, with null for a deleted record: the format of a change in the log. */
type Line = [kind: Kind, id: string, record: unknown];

interface Transaction {
  changed: { line(): Line; undo(): void }[];
}

/**
 * The emulator's state: plain records in memory. Each transaction is appended as one line to `state.jsonl` in
 * `dataDir` before it is answered, so a killed process restarts with everything that it had answered. An incomplete
 * line was never answered and is dropped. Without `dataDir` nothing is stored.
 */
export function openStore(dataDir: string | undefined, onCommit: () => void): Store {
  const path = dataDir === undefined ? undefined : join(dataDir, 'state.jsonl');
  if (dataDir !== undefined) mkdirSync(dataDir, { recursive: true });
  const saved = path === undefined ? new Map<string, Map<string, unknown>>() : readLog(path);
  const file = path === undefined ? undefined : compactLog(path, saved);
  let current: Transaction | undefined;

  const commit = ({ changed }: Transaction) => {
    if (file !== undefined && changed.length > 0) {
      writeSync(file, `${JSON.stringify(changed.map((change) => change.line()))}\n`);
    }
  };

  /** @param name  as Polar writes it in an error */
  const collection = <K extends Kind>(kind: K, name: string): Collection<Records[K]> => {
    // This function wrote the lines itself, so their kinds are trusted.
    const rows = (saved.get(kind) ?? new Map()) as Map<string, Records[K]>;
    const set = (id: string, record: Records[K] | undefined) => {
      if (record === undefined) rows.delete(id);
      else rows.set(id, record);
    };
    const change = (id: string, record: Records[K] | undefined) => {
      if (!current) throw new Error(`a record of ${kind} was changed outside a transaction`);
      const before = rows.get(id);
      current.changed.push({ line: () => [kind, id, record ?? null], undo: () => set(id, before) });
      set(id, record);
    };
    return {
      get: (id) => rows.get(id),
      demand: (id) => {
        const record = rows.get(id);
        if (!record) throw notFound(`${name} not found.`);
        return record;
      },
      all: () => [...rows.values()],
      put: (record) => {
        change(record.id, record);
        return record;
      },
      delete: (id) => change(id, undefined),
    };
  };

  return {
    organizations: collection('organizations', 'Organization'),
    products: collection('products', 'Product'),
    discounts: collection('discounts', 'Discount'),
    customers: collection('customers', 'Customer'),
    members: collection('members', 'Member'),
    sessions: collection('sessions', 'Customer session'),
    checkouts: collection('checkouts', 'Checkout'),
    subscriptions: collection('subscriptions', 'Subscription'),
    orders: collection('orders', 'Order'),
    refunds: collection('refunds', 'Refund'),
    disputes: collection('disputes', 'Dispute'),
    endpoints: collection('endpoints', 'Webhook endpoint'),
    events: collection('events', 'Webhook event'),
    deliveries: collection('deliveries', 'Webhook delivery'),
    transaction(work) {
      if (current) return work();
      const transaction: Transaction = { changed: [] };
      current = transaction;
      try {
        const result = work();
        commit(transaction);
        return result;
      } catch (error) {
        if (error instanceof PolarRefusal && error.keep) commit(transaction);
        else for (const change of transaction.changed.reverse()) change.undo();
        throw error;
      } finally {
        current = undefined;
        onCommit();
      }
    },
    close() {
      if (file !== undefined) closeSync(file);
    },
  };
}

function readLog(path: string): Map<string, Map<string, unknown>> {
  const tables = new Map<string, Map<string, unknown>>();
  if (!existsSync(path)) return tables;
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.pop();
  for (const line of lines) {
    for (const [kind, id, record] of JSON.parse(line) as Line[]) {
      const rows = tables.get(kind) ?? new Map<string, unknown>();
      tables.set(kind, rows);
      if (record === null) rows.delete(id);
      else rows.set(id, record);
    }
  }
  return tables;
}

/** Writes the current state as a new log, so that the file does not grow with every start, and opens it. */
function compactLog(path: string, tables: Map<string, Map<string, unknown>>): number {
  const fresh = openSync(`${path}.new`, 'w');
  for (const [kind, rows] of tables) {
    for (const [id, record] of rows) writeSync(fresh, `${JSON.stringify([[kind, id, record]])}\n`);
  }
  fsyncSync(fresh);
  closeSync(fresh);
  renameSync(`${path}.new`, path);
  return openSync(path, 'a');
}
