import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { publishCatalog } from '../../catalog/versions.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { seed } from '../setup/seed.ts';
import { type Command, commands } from './model/commands.ts';
import {
  type Lane,
  openLane,
  playRun,
  replaceClockByLanes,
  smallCatalog,
} from './model/ledger-under-test.ts';

/**
 * Random stories of two teams each, on the ledger and on the model. They must agree after each step. Lanes run
 * concurrently, each with its own seed. To repeat a failure, use the printed `FC_SEED` and the same `FC_RUNS`.
 */
const runs = Number(process.env.FC_RUNS ?? 1_000);
/** Shrinking stops after this time with the shortest story so far. A lane without a failure never takes that long. */
const longestMs = 400_000;
const laneCount = Math.min(8, runs);
/**
 * In half of the lanes a commit first reads only one or two grants of each team. It must draw on the same grants as if
 * it had read all, as the model does.
 */
const firstGrants = [1, undefined, 2, undefined, 1, undefined, 2, undefined];

/** Stories that random generation finds rarely. */
const hardStories: [Command[]][] = [
  // Usage in the millisecond in which a limit is set does not belong to a cycle that begins later.
  [
    [
      { kind: 'buy', team: 0, units: 1, paid: 10n, refunded: 0n, pays: true },
      {
        kind: 'requests',
        sent: [{ kind: 'spend', team: 0, credits: 1n, age: null, member: 'ada', apiKey: null }],
      },
      { kind: 'limit', team: 0, credits: 0n, per: 'cycle', subject: 'member', id: 'ada' },
      { kind: 'subscribe', team: 0, paid: 0n, length: 3_600_000 },
    ],
  ],
];

let database: TestDatabase;
let lanes: Lane[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  await replaceClockByLanes(database.url);
  lanes = await Promise.all(
    Array.from({ length: laneCount }, (_, lane) => openLane(database.url, `lane${lane}`, firstGrants[lane])),
  );
  const [first] = lanes;
  if (!first) throw new Error('FC_RUNS is at least 1');
  await publishCatalog(first.database, (await smallCatalog()).catalog);
});

afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.close()));
  await database.drop();
});

test(
  `the ledger does what the model says, whatever happens in whatever order and however few grants are read at first (${runs} runs, FC_SEED=${seed})`,
  async () => {
    process.stderr.write(`  ${runs} runs in ${laneCount} lanes, FC_SEED=${seed}\n`);
    const catalog = await smallCatalog();
    const tally = new Map<string, number>();
    let played = 0;
    let failed: number | null = null; // the first lane that fails runs alone, to shrink its story
    const results = await Promise.allSettled(
      lanes.map((lane, index) =>
        fc.assert(
          fc.asyncProperty(commands, async (story) => {
            if (failed !== null && failed !== index) return;
            played += 1;
            try {
              await playRun(lane, catalog, story, tally);
            } catch (error) {
              failed ??= index;
              if (failed === index) throw error;
            }
          }),
          {
            seed: seed + index,
            numRuns: Math.ceil(runs / laneCount),
            examples: index === 0 ? hardStories : [],
            interruptAfterTimeLimit: longestMs,
          },
        ),
      ),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    expect(played).toBeGreaterThanOrEqual(runs);
    if (process.env.FC_TALLY)
      process.stderr.write(
        `${[...tally]
          .sort()
          .map(([what, times]) => `  ${what} ${times}`)
          .join('\n')}\n`,
      );
  },
  2 * longestMs,
);
