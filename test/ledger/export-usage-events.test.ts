import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { v7 as uuidv7 } from 'uuid';
import { csvLine } from '../../api/csv.ts';
import { formatCredits } from '../../catalog/credits.ts';
import { exportUsageEvents } from '../../ledger/read/export-usage-events.ts';
import { type ListedUsageEvent, listUsageEvents } from '../../ledger/read/list-usage-events.ts';
import { seed } from '../setup/seed.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const { database } = useTestDatabase({ pool: 2 });

/** Text of formulas, separators, quotes and every kind of white space, and any other text that Postgres can store. */
const hostile = fc.oneof(
  fc.string({
    unit: fc.constantFrom(
      ...'=+-@\t\r\n\v\f;,"\'\\{aé😀 \u00a0\u1680\u2003\u2028\u3000\ufeff\u200b\u0085\u007f\u0001',
    ),
    maxLength: 8,
  }),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
);
const idOrNone = fc.option(hostile.filter((text) => text !== ''));
const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,5}$/);
const events = fc.array(
  fc.record({
    action: hostile,
    lines: fc.uniqueArray(fc.record({ meter: name, quantity: hostile }), {
      selector: ({ meter }) => meter,
      maxLength: 3,
    }),
    credits: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), fc.bigInt({ min: 0n, max: 2_000_000n })),
    memberId: idOrNone,
    apiKeyId: idOrNone,
    runId: idOrNone,
    stepId: idOrNone,
    tags: fc.option(fc.dictionary(name, hostile, { minKeys: 1, maxKeys: 3, noNullPrototype: true })),
    msAgo: fc.integer({ min: 0, max: 3_600_000 }),
  }),
  { minLength: 30, maxLength: 60 },
);

test(`Postgres writes the same line for an event as our CSV writer, whatever text it contains (FC_SEED=${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(events, async (inserted) => {
      const teamId = uuidv7();
      await database.pool.query(
        `insert into usage_events (team_id, occurred_at, id, recorded_at, action, lines, credits, price_version, balance_after,
                                   member_id, api_key_id, run_id, step_id, tags)
         select $1, billing_now() - e."msAgo" * interval '1 ms', uuidv7(), billing_now(), e.action, e.lines, e.credits::bigint, 1, 0,
                e."memberId", e."apiKeyId", e."runId", e."stepId", nullif(e.tags, 'null')
           from jsonb_to_recordset($2::jsonb) as e (action text, lines jsonb, credits text, "memberId" text, "apiKeyId" text,
                                                    "runId" text, "stepId" text, tags jsonb, "msAgo" int)`,
        [teamId, JSON.stringify(inserted, (_, value) => (typeof value === 'bigint' ? String(value) : value))],
      );
      const pages = await Array.fromAsync(exportUsageEvents(database.pool, teamId, {}));
      const { data } = await listUsageEvents(database.pool, teamId, { limit: 100 });
      expect(data).toHaveLength(inserted.length);
      expect(pages.join('')).toBe(data.map(lineOf).join(''));
    }),
    { numRuns: 20, seed },
  );
});

function lineOf({
  receipt,
  occurredAt,
  recordedAt,
  memberId,
  apiKeyId,
  runId,
  stepId,
  tags,
}: ListedUsageEvent): string {
  return csvLine([
    receipt.id,
    occurredAt.toISOString(),
    recordedAt.toISOString(),
    receipt.action,
    JSON.stringify(Object.fromEntries(receipt.lines.map(({ meter, quantity }) => [meter, quantity]))),
    formatCredits(receipt.credits),
    String(receipt.priceVersion),
    memberId ?? '',
    apiKeyId ?? '',
    runId ?? '',
    stepId ?? '',
    tags ? JSON.stringify(tags) : '',
  ]);
}
