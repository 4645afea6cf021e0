import { randomUUID } from 'node:crypto';
import { hashBody } from '../api/read-body.ts';
import { parseDecimal } from '../catalog/credits.ts';
import { type PricedUsage, priceUsage } from '../catalog/price-usage.ts';
import { type PublishedCatalog, readCatalog } from '../catalog/versions.ts';
import { connectDatabase } from '../database/connection.ts';
import { createCreditOperations } from '../ledger/spend/credit-operations.ts';
import type { Receipt } from '../ledger/spend/operation.ts';

/** The request of every caller in every measure: one call of a language model, two meters, 0.6 credits. */
export const usage = {
  action: 'model.gpt-5',
  quantities: { input_tokens: 1_200, output_tokens: 350 },
} as const;

/** A usage as a ledger gets it, ours or the baseline's: priced and hashed, with its own key. */
export interface Debit {
  teamId: string;
  idempotencyKey: string;
  bodyHash: Buffer;
  action: string;
  priced: PricedUsage;
  priceVersion: number;
}

/** Prices and hashes a usage for each call, as the API does. */
export function makeDebit(teamId: string, { catalog, catalogVersion }: PublishedCatalog): Debit {
  const quantities = Object.fromEntries(
    Object.entries(usage.quantities).map(([meter, quantity]) => [meter, parseDecimal(String(quantity))]),
  );
  return {
    teamId,
    idempotencyKey: randomUUID(),
    bodyHash: hashBody(usage),
    action: usage.action,
    priced: priceUsage(catalog, usage.action, quantities),
    priceVersion: catalogVersion,
  };
}

/** A ledger that callers in this process debit. */
export interface BenchLedger {
  spend(teamId: string): Promise<Receipt>;
  close(): Promise<void>;
}

/** Our ledger, as an API process opens it. */
export async function openLedger(databaseUrl: string) {
  const database = await connectDatabase(databaseUrl, { pool: 20 });
  const published = await readCatalog(database);
  const { policies } = published.catalog;
  const ledger = createCreditOperations(database);
  return {
    database,
    spend: (teamId: string, consumer: { apiKeyId?: string } = {}) =>
      ledger.spend({ ...makeDebit(teamId, published), ...consumer }),
    /** Creates a hold for the price of the usage, then captures it. */
    async holdAndCapture(teamId: string): Promise<Receipt> {
      const { priced, ...debit } = makeDebit(teamId, published);
      const { id } = await ledger.hold({
        ...debit,
        credits: priced.credits,
        ttlMs: policies.holdLife,
        maxTtlMs: policies.holdMaxLife,
        maxOpenHolds: policies.openHoldsPerTeam,
      });
      const { idempotencyKey, bodyHash } = makeDebit(teamId, published);
      return ledger.capture({ teamId, holdId: id, idempotencyKey, bodyHash, priced });
    },
    async close() {
      await ledger.close();
      await database.close();
    },
  };
}

export function pickFrom(teamIds: readonly string[]): string {
  const picked = teamIds[Math.floor(Math.random() * teamIds.length)];
  if (picked === undefined) throw new Error('there is no team to pick from');
  return picked;
}
