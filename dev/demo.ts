import { parseArgs } from 'node:util';
import { BillingProblem, BillingUnavailable } from '../client/billing-error.ts';
import { EnvironmentError, readEnvironment, runningStack } from '../environment.ts';
import { figuresChecked, WrongFigure } from './demo/check.ts';
import { CannotGoOn, connectDemo } from './demo/connect.ts';
import { takePictures } from './demo/pictures/take-pictures.ts';
import { screen } from './demo/screen.ts';
import { takeScreenshots } from './demo/screenshots.ts';
import { seedTeam } from './demo/seed.ts';
import { tellStory } from './demo/story.ts';

/**
 * `npm run demo`: the story of a team, over HTTP, on the running stack. Each figure is computed from `GET /v1/catalog`
 * and checked. The first wrong one ends the demo with exit code 1. `npm run screenshots` also takes the pictures of its
 * team for docs/operations.md, and those of the page for docs/page.md and the guides. `npm run demo -- --seed` does not
 * tell the story: it fills another team with 90 days of use.
 */
const { screenshots: picturesFolder, seed } = parseArgs({
  options: { screenshots: { type: 'string' }, seed: { type: 'boolean' } },
}).values;
const started = performance.now();
process.exit(await run());

async function run(): Promise<number> {
  try {
    if (seed && process.env.NODE_ENV === 'production') {
      throw new CannotGoOn('The seed writes into the past of the ledger: it is refused in production');
    }
    const stack = readStack();
    const demo = await connectDemo(stack);
    try {
      if (seed) {
        await seedTeam(demo, stack);
        return 0;
      }
      const teamId = await tellStory(demo);
      if (picturesFolder !== undefined) {
        await takeScreenshots(demo, teamId, picturesFolder);
        await takePictures(demo, await seedTeam(demo, stack), picturesFolder);
      }
    } finally {
      await demo.close();
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    screen.done(`All ${figuresChecked()} figures match the catalog (${seconds} s).`);
    return 0;
  } catch (error) {
    screen.failed(explain(error));
    return 1;
  }
}

function readStack() {
  const { dataDir } = readEnvironment(process.env, ['dataDir']);
  try {
    return readEnvironment(process.env, [
      'publicUrl',
      'temporal',
      'polar',
      'serviceApiKey',
      'auth',
      'dataDir',
      'databaseUrl',
      'databaseOwnerUrl',
    ]);
  } catch (error) {
    if (!(error instanceof EnvironmentError) || runningStack(dataDir)) throw error;
    throw new CannotGoOn('No stack is running here: start it in another terminal with npm start');
  }
}

function explain(error: unknown): string {
  const expected = [WrongFigure, CannotGoOn, EnvironmentError, BillingProblem, BillingUnavailable];
  if (expected.some((kind) => error instanceof kind) && error instanceof Error) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
