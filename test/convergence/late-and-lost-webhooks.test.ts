import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { loadCatalog } from '../../catalog/load-catalog.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import { type Lane, openLane, replaceClockByLanes } from '../ledger/model/ledger-under-test.ts';
import { expectSoundLedger } from '../scenarios/sound-ledger.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { expectEntitled, expectSame, type Heard } from './expect-same.ts';
import { hardStories } from './hard-stories.ts';
import { type Listener, playStory } from './play-story.ts';
import { readLedger } from './read-ledger.ts';
import { type Schedule, type Story, schedules, stories } from './stories.ts';

/**
 * Random stories of customers at Polar. One team gets the webhooks as they happen. The others get them late,
 * duplicated, shuffled or lost, each with its own schedule. The seed is fixed, so a failure is caused by a change of
 * the code. Another `FC_SEED` runs new stories. To repeat a failure, use the printed `FC_SEED` and the same `FC_RUNS`.
 */
const wanted = Number(process.env.FC_RUNS ?? 70);
const seed = Number(process.env.FC_SEED ?? 20_260_101);
const schedulesPerStory = 7;
const storiesPerTest = Math.ceil(wanted / 2 / schedulesPerStory);
const laneCount = Math.min(6, storiesPerTest);
/** Shrinking stops after this time with the shortest story so far. A lane without a failure never takes that long. */
const longestMs = 600_000;

let database: TestDatabase;
let lanes: Lane[] = [];
/** The state of each lane. A run that was aborted because of its time continues until it ends. */
const busy: Promise<unknown>[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  await replaceClockByLanes(database.url);
  lanes = await Promise.all(
    Array.from({ length: laneCount }, (_, lane) => openLane(database.url, `lane${lane}`)),
  );
  const [first] = lanes;
  if (!first) throw new Error('FC_RUNS is at least 1');
  await publishCatalog(first.database, loadCatalog(join(import.meta.dirname, '../../catalog/catalog.yaml')));
  // Otherwise lanes that create the same month's partitions at once would wait for each other.
  await first.database.pool.query(
    `select create_partitions((date '2039-09-01' + make_interval(months => n))::date) from generate_series(0, 27) as n`,
  );
});

afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.close()));
  await database.drop();
});

for (const spent of [false, true]) {
  const told = spent
    ? 'with credits spent on the way, late and lost webhooks give the same grants, targets and subscriptions'
    : 'where nothing is spent, late and lost webhooks give the same ledger as if each had come at once';
  test(
    `${told} (${storiesPerTest} stories of ${schedulesPerStory} schedules, FC_SEED=${seed})`,
    async () => {
      process.stderr.write(`  ${storiesPerTest * schedulesPerStory} schedules, FC_SEED=${seed}\n`);
      let played = 0;
      let failed: number | null = null; // the first lane that fails runs alone, to shrink its story
      const results = await Promise.allSettled(
        lanes.map((lane, index) =>
          fc.assert(
            fc.asyncProperty(
              stories({ spent }),
              fc.array(schedules, { minLength: schedulesPerStory, maxLength: schedulesPerStory }),
              async (story, ways) => {
                if (failed !== null && failed !== index) return;
                played += ways.length;
                await busy[index]?.catch(() => {});
                const run = playAndCompare(lane, story, ways, spent);
                busy[index] = run;
                try {
                  await run;
                } catch (error) {
                  failed ??= index;
                  if (failed === index) throw error;
                }
              },
            ),
            {
              seed: seed + index,
              numRuns: Math.ceil(storiesPerTest / laneCount) + examplesOf(index).length,
              examples: examplesOf(index),
              interruptAfterTimeLimit: longestMs,
            },
          ),
        ),
      );
      for (const result of results) if (result.status === 'rejected') throw result.reason;
      expect(played).toBeGreaterThanOrEqual(storiesPerTest * schedulesPerStory);
    },
    2 * longestMs,
  );
}

test('afterwards every rule of the ledger holds', async () => {
  const [first] = lanes;
  if (!first) throw new Error('there is a lane');
  // Each lane stopped at its own time. At a time before all of them nothing is due, so nothing can be missing.
  await first.setClock(Date.UTC(2026, 0, 1));
  await expectSoundLedger(first.database.pool);
});

/** Every lane starts with some of the rare stories. */
function examplesOf(lane: number): [Story, Schedule[]][] {
  return hardStories.filter((_, index) => index % laneCount === lane);
}

async function playAndCompare(lane: Lane, story: Story, ways: Schedule[], spent: boolean): Promise<void> {
  const { undisturbed, disturbed } = await playStory(lane, story, ways);
  const first = await heardBy(lane, undisturbed);
  await expectEntitled(lane.database.pool, undisturbed.teamId);
  for (const [index, listener] of disturbed.entries()) {
    const heard = await heardBy(lane, listener);
    try {
      await expectEntitled(lane.database.pool, listener.teamId);
      expectSame(first, heard, { spent });
    } catch (cause) {
      throw new Error(`told by schedule ${index}, team ${listener.teamId} ends elsewhere`, { cause });
    }
  }
}

async function heardBy({ database: { pool } }: Lane, listener: Listener): Promise<Heard> {
  const { orders, subscriptions } = listener.atPolar;
  const names = new Map([
    ...orders.map(({ id }, index) => [id, `order ${index + 1}`] as const),
    ...subscriptions.map((id, index) => [id, `subscription ${index + 1}`] as const),
  ]);
  return { listener, names, ledger: await readLedger(pool, listener.teamId, names) };
}
