import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Records } from './records.ts';

type Kind = keyof Records;
type Change = { kind: Kind; id: string; record: Records[Kind] | null };

/** One kind of record, in the order in which they were first put. */
export interface Collection<R> {
  get(id: string): R | undefined;
  all(): R[];
  put(record: R): R;
  delete(id: string): void;
}

export type Store = { readonly [K in Kind]: Collection<Records[K]> } & {
  /** Runs `work` as one unit: everything that it put is on disk before this returns, or nothing of it is. */
  transaction<T>(work: () => T): T;
  close(): void;
};

/**
 * The emulator's state: plain records in memory, each transaction appended as one line to `state.jsonl` in
 * `dataDir` before it is answered, so that a process killed at any moment finds what it had answered. A line cut
 * short by a crash was never answered and is dropped. Without `dataDir` nothing is kept.
 */
export function openStore(kinds: readonly Kind[], dataDir: string | undefined): Store {
  const tables = new Map<Kind, Map<string, Records[Kind]>>(kinds.map((kind) => [kind, new Map()]));
  const table = (kind: Kind) => {
    const found = tables.get(kind);
    if (!found) throw new Error(`no collection ${kind}`);
    return found;
  };
  const log = dataDir === undefined ? undefined : openLog(dataDir, tables);
  let changes: Change[] | undefined;
  let undo: Change[] = [];

  const write = (change: Change) => {
    if (!changes) throw new Error('a record was written outside a transaction');
    undo.push({ ...change, record: table(change.kind).get(change.id) ?? null });
    changes.push(change);
    apply(tables, change);
  };

  const collection = <K extends Kind>(kind: K): Collection<Records[K]> => {
    // The one place where a kind and its record type meet; every `put` below is typed by the same K.
    const rows = table(kind) as Map<string, Records[K]>;
    return {
      get: (id) => rows.get(id),
      all: () => [...rows.values()],
      put: (record) => {
        write({ kind, id: record.id, record });
        return record;
      },
      delete: (id) => write({ kind, id, record: null }),
    };
  };

  return {
    products: collection('products'),
    discounts: collection('discounts'),
    customers: collection('customers'),
    members: collection('members'),
    sessions: collection('sessions'),
    checkouts: collection('checkouts'),
    subscriptions: collection('subscriptions'),
    orders: collection('orders'),
    refunds: collection('refunds'),
    disputes: collection('disputes'),
    endpoints: collection('endpoints'),
    events: collection('events'),
    deliveries: collection('deliveries'),
    organizations: collection('organizations'),
    transaction(work) {
      if (changes) return work();
      changes = [];
      undo = [];
      try {
        const result = work();
        if (changes.length > 0) log?.append(changes);
        return result;
      } catch (error) {
        for (const change of undo.reverse()) apply(tables, change);
        throw error;
      } finally {
        changes = undefined;
      }
    },
    close: () => log?.close(),
  };
}

function apply(tables: Map<Kind, Map<string, Records[Kind]>>, { kind, id, record }: Change): void {
  if (record === null) tables.get(kind)?.delete(id);
  else tables.get(kind)?.set(id, record);
}

function openLog(dataDir: string, tables: Map<Kind, Map<string, Records[Kind]>>) {
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, 'state.jsonl');
  if (existsSync(path)) replay(readFileSync(path, 'utf8'), tables);

  // Each start writes what is left as one line, so the file does not grow without end.
  const compacted = `${path}.new`;
  const fresh = openSync(compacted, 'w');
  const all = [...tables].flatMap(([kind, rows]) => [...rows].map(([id, record]) => ({ kind, id, record })));
  writeSync(fresh, `${JSON.stringify(all)}\n`);
  fsyncSync(fresh);
  closeSync(fresh);
  renameSync(compacted, path);

  const file = openSync(path, 'a');
  return {
    append: (changes: Change[]) => void writeSync(file, `${JSON.stringify(changes)}\n`),
    close: () => closeSync(file),
  };
}

function replay(text: string, tables: Map<Kind, Map<string, Records[Kind]>>): void {
  const lines = text.split('\n');
  lines.pop();
  for (const line of lines) for (const change of JSON.parse(line) as Change[]) apply(tables, change);
}
