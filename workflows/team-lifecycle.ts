import {
  ApplicationFailure,
  allHandlersFinished,
  condition,
  continueAsNew,
  isCancellation,
  log,
  proxyActivities,
  proxyLocalActivities,
  rootCause,
  setCurrentDetails,
  setHandler,
  sleep,
  TemporalFailure,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../activities/create-activities.ts';
import type { TeamOverview } from '../activities/describe-team.ts';
import { createDeadline } from './deadline.ts';
import { createDisplay } from './display.ts';
import {
  assignUpdate,
  dismissUpdate,
  inboxEventSignal,
  readAssignMessage,
  readDismissMessage,
  readInboxIds,
  readOperatorMessage,
  retryUpdate,
  type TeamLifecycleInput,
} from './messages.ts';

/** An event that keeps failing for so long is parked as stuck, and the loop goes on. In milliseconds. */
const giveUpAfter = 10 * 60_000;

// A short write to the ledger: as a local activity it costs no round trip to the server. It holds the workflow's task
// open while it is tried, so only a few times: `retried` goes on, and lets timers and signals in between.
const ledger = proxyLocalActivities<Activities>({
  startToCloseTimeout: '20 seconds',
  retry: { initialInterval: '100 milliseconds', maximumAttempts: 3 },
});

// Asks Polar, which may take its time and may be down. One attempt: `createAside` tries again.
const polar = proxyActivities<Activities>({
  startToCloseTimeout: '1 minute',
  retry: { maximumAttempts: 1 },
});

/** How many events wait here at most. The relay signals all others again, later. */
const mostQueued = 10_000;
/** How many of the waiting events one activity looks at: it applies the most urgent of them. */
const mostInView = 400;

/** Between two attempts at something that failed, in milliseconds: doubled each time. */
const firstPause = 1_000;
const longestPause = 60_000;

/**
 * A team's lifecycle: its trial first, then whatever its inbox holds, and what falls due in between. The only writer
 * of the team's trial, cycles, expiry, purchases and refunds. All state is in Postgres: started anew, it arrives at the same
 * timers. An event that needs Polar, or fails, steps aside: others of the team go on meanwhile.
 */
export async function teamLifecycle({ teamId, state }: TeamLifecycleInput): Promise<void> {
  const queue = new Set(state?.queue);
  const aside = createAside(teamId);
  setHandler(inboxEventSignal, (message) => {
    const inboxIds = readInboxIds(message);
    if (inboxIds.length === 0) return log.error('dropped a signal that is no inbox event');
    for (const inboxId of inboxIds) if (queue.size < mostQueued) queue.add(inboxId);
  });
  setHandler(
    retryUpdate,
    ({ inboxId, by }) => {
      log.info('an operator wants an event tried again', { inboxId, by });
      queue.add(inboxId);
    },
    { validator: (message) => void readOperatorMessage(message) },
  );
  // Once stored, the event goes through the queue as well: how the team stands has changed.
  setHandler(
    dismissUpdate,
    async (message) => {
      const { inboxId, ...decider } = readDismissMessage(message);
      await ledger.dismissParkedEvent(teamId, inboxId, decider);
      queue.add(inboxId);
    },
    { validator: (message) => void readDismissMessage(message) },
  );
  setHandler(
    assignUpdate,
    async (message) => {
      const { inboxId, product, ...decider } = readAssignMessage(message);
      await ledger.assignParkedEvent(teamId, inboxId, product, decider);
      queue.add(inboxId);
    },
    { validator: (message) => void readAssignMessage(message) },
  );

  const deadline = createDeadline('Credits expire or arrive');
  const display = createDisplay();
  let overview = await untilDone(() => ledger.grantTrialCredits(teamId));
  display.show(overview);

  // A deleted team's workflow applies what there is to apply, then ends; what comes later starts it again.
  while (!overview.deleted || queue.size > 0 || aside.size() > 0) {
    if (deadline.hasPassed()) overview = await untilDone(() => ledger.bookDueCredits(teamId));
    const waiting = [...queue].filter((inboxId) => !aside.has(inboxId)).slice(0, mostInView);
    if (waiting.length > 0) {
      const applied = await applyFromStore(teamId, waiting);
      for (const inboxId of applied.over) queue.delete(inboxId);
      for (const inboxId of applied.aside) aside.add(inboxId);
      overview = applied.overview ?? overview;
    }
    const settled = aside.takeSettled();
    for (const { inboxId, overview: then } of settled) {
      queue.delete(inboxId);
      if (then) display.show(then);
    }
    // What the two ways of applying say of the team may be older than what the other did.
    if (settled.length > 0) overview = await untilDone(() => ledger.bookDueCredits(teamId));
    display.show(overview);
    if (workflowInfo().continueAsNewSuggested) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof teamLifecycle>({ teamId, state: { queue: [...queue] } });
    }
    deadline.moveTo(overview.nextDueAt);
    const hasWork = () => [...queue].some((inboxId) => !aside.has(inboxId)) || aside.hasSettled();
    await condition(() => hasWork() || deadline.hasPassed() || (overview.deleted && aside.size() === 0));
    if (overview.deleted) await condition(allHandlersFinished);
  }
}

/** Which events are over and which step aside, and how the team stands; null where not even that could be found out. */
interface Applied {
  over: string[];
  aside: string[];
  overview: TeamOverview | null;
}

/** Applies the most urgent of the waiting events from what is stored. While the database is away, it is tried again. */
async function applyFromStore(teamId: string, inboxIds: string[]): Promise<Applied> {
  try {
    return await retried(() => ledger.applyInboxEvents(teamId, inboxIds), giveUpAfter);
  } catch (error) {
    log.error('the inbox cannot be read; the relay signals its events again', { failure: failureOf(error) });
    return { over: inboxIds, aside: [], overview: null };
  }
}

/** The events that stepped aside: one at a time, in turn, while the team's lifecycle goes on. */
interface Aside {
  add(inboxId: string): void;
  has(inboxId: string): boolean;
  /** How many have not been taken as settled. */
  size(): number;
  hasSettled(): boolean;
  takeSettled(): { inboxId: string; overview: TeamOverview | null }[];
}

/**
 * Tries each with what Polar says now. After a failure the event goes to the back of the line, and the line pauses: longer with
 * each failure, and as long as Polar demands. What fails for ten minutes is parked as stuck. An event that was stuck before
 * gets one attempt: the relay comes back to it.
 */
function createAside(teamId: string): Aside {
  const stuck = new Set<string>();
  /** By the time of the first attempt; null before it. */
  const waiting = new Map<string, number | null>();
  const settled = new Map<string, TeamOverview | null>();
  let running = false;

  return {
    add(inboxId) {
      waiting.set(inboxId, null);
      if (running) return;
      running = true;
      workOff().catch((error: unknown) => {
        if (!isCancellation(error)) throw error;
      });
    },
    has: (inboxId) => waiting.has(inboxId) || settled.has(inboxId),
    size: () => waiting.size + settled.size,
    hasSettled: () => settled.size > 0,
    takeSettled() {
      const taken = [...settled].map(([inboxId, overview]) => ({ inboxId, overview }));
      settled.clear();
      return taken;
    },
  };

  async function workOff(): Promise<void> {
    let pause = firstPause;
    for (let next = first(); next; next = first()) {
      const [inboxId, since] = next;
      const firstTriedAt = since ?? Date.now();
      try {
        settle(inboxId, await polar.applyInboxEventAskingPolar(teamId, inboxId));
        stuck.delete(inboxId);
        pause = firstPause;
      } catch (error) {
        const failure = failureOf(error);
        const wait = Math.max(pause, demandedPause(error));
        const over = stuck.has(inboxId) || isFinal(error) || Date.now() + wait - firstTriedAt > giveUpAfter;
        if (over) {
          log.error('an inbox event keeps failing', { inboxId, failure });
          stuck.add(inboxId);
          settle(inboxId, await park(inboxId, failure));
        } else {
          waiting.delete(inboxId);
          waiting.set(inboxId, firstTriedAt);
        }
        if (waiting.size > 0) await sleep(wait, { summary: 'Pause after a failure' });
        pause = Math.min(2 * pause, longestPause);
      }
    }
    running = false;
  }

  function first(): [string, number | null] | undefined {
    return [...waiting][0];
  }

  function settle(inboxId: string, overview: TeamOverview | null): void {
    waiting.delete(inboxId);
    settled.set(inboxId, overview);
  }

  async function park(inboxId: string, failure: string): Promise<TeamOverview | null> {
    try {
      return await ledger.parkStuckEvent(teamId, inboxId, failure);
    } catch (error) {
      failureOf(error);
      return null;
    }
  }
}

/** How long Polar wants to be left alone, in milliseconds (`throwAsFailure`). */
function demandedPause(error: unknown): number {
  const cause = error instanceof TemporalFailure ? error.cause : undefined;
  const [detail] = (cause instanceof ApplicationFailure && cause.details) || [];
  if (typeof detail !== 'object' || detail === null || !('retryAfterSeconds' in detail)) return 0;
  return typeof detail.retryAfterSeconds === 'number' ? detail.retryAfterSeconds * 1_000 : 0;
}

/** Whether trying again is of no use. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof TemporalFailure &&
    error.cause instanceof ApplicationFailure &&
    error.cause.nonRetryable === true
  );
}

/** Without this step the team's lifecycle cannot go on: tried until it succeeds. */
function untilDone(step: () => Promise<TeamOverview>): Promise<TeamOverview> {
  return retried(step, Number.POSITIVE_INFINITY);
}

/** Tries a step until it succeeds, with growing pauses; throws its failure where `patience` milliseconds are over. */
async function retried<T>(step: () => Promise<T>, patience: number): Promise<T> {
  const giveUpAt = Date.now() + patience;
  for (let pause = firstPause; ; pause = Math.min(2 * pause, longestPause)) {
    try {
      return await step();
    } catch (error) {
      const failure = failureOf(error);
      if (Date.now() + pause > giveUpAt) throw error;
      log.warn('a step fails and is tried again', { failure, pause });
      setCurrentDetails(`**Failing:** ${failure}`);
      await sleep(pause, { summary: 'Pause after a failure' });
    }
  }
}

/** What an activity failed of, in words. A local one throws its failure as it is. Everything else is thrown on. */
function failureOf(error: unknown): string {
  if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
  return rootCause(error) ?? error.message;
}
