import {
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
  readInboxId,
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

// Asks Polar, which may take its time and may be down.
const asking = { startToCloseTimeout: '1 minute' } as const;
const polar = proxyActivities<Activities>({
  ...asking,
  scheduleToCloseTimeout: giveUpAfter,
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});
const polarOnce = proxyActivities<Activities>({ ...asking, retry: { maximumAttempts: 1 } });

/** So many waiting events are applied by one activity. */
const together = 20;
/** So many wait here at most. The relay tells of all others again, later. */
const mostQueued = 10_000;

/** Between two attempts at something that failed, in milliseconds: doubled each time. */
const firstPause = 1_000;
const longestPause = 60_000;

/**
 * A team's lifecycle: its trial first, then whatever its inbox holds, and what falls due in between. The only writer
 * of the team's trial, cycles, expiry, purchases and refunds, so that these never race one another. All state is in
 * Postgres: started anew, it arrives at the same timers.
 */
export async function teamLifecycle({ teamId, state }: TeamLifecycleInput): Promise<void> {
  const queue = new Set(state?.queue);
  const applyEvents = createApplyEvents(teamId);
  setHandler(inboxEventSignal, (message) => {
    const inboxId = readInboxId(message);
    if (inboxId === null) return log.error('dropped a signal that is no inbox event');
    if (queue.size < mostQueued) queue.add(inboxId);
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

  // A deleted team's workflow hears what there is to hear, then ends; what comes later starts it again.
  while (!overview.deleted || queue.size > 0) {
    if (queue.size > 0) {
      let finished = false;
      const applying = applyEvents([...queue].slice(0, together)).finally(() => {
        finished = true;
      });
      applying.catch(() => {}); // thrown below
      // An event may fail for minutes until it is given up: what falls due does not wait for it.
      while (!finished) {
        await condition(() => finished || deadline.hasPassed());
        if (finished) break;
        overview = await untilDone(() => ledger.bookDueCredits(teamId));
        display.show(overview);
        deadline.moveTo(overview.nextDueAt);
      }
      const applied = await applying;
      for (const inboxId of applied.over) queue.delete(inboxId);
      overview = applied.overview ?? overview;
    } else if (deadline.hasPassed()) {
      overview = await untilDone(() => ledger.bookDueCredits(teamId));
    }
    display.show(overview);
    if (workflowInfo().continueAsNewSuggested) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof teamLifecycle>({ teamId, state: { queue: [...queue] } });
    }
    deadline.moveTo(overview.nextDueAt);
    await condition(() => overview.deleted || queue.size > 0 || deadline.hasPassed());
    if (overview.deleted) await condition(allHandlersFinished);
  }
}

/** Which events are over, and how the team stands now; null where not even that could be found out. */
interface Applied {
  over: string[];
  overview: TeamOverview | null;
}

/**
 * Applies the first of the waiting events, one at least. One that keeps failing is parked as stuck: the relay comes back
 * to it, and then it gets one attempt, as do all that must ask Polar while Polar answers none.
 */
function createApplyEvents(teamId: string): (inboxIds: string[]) => Promise<Applied> {
  const stuck = new Set<string>();
  let polarAnswers = true;

  return async (inboxIds) => {
    const [first = ''] = inboxIds;
    const patient = !stuck.has(first);
    try {
      const { over, mustAskPolar, overview } = await retried(
        () => ledger.applyInboxEvents(teamId, inboxIds),
        patient ? giveUpAfter : 0,
      );
      for (const inboxId of inboxIds.slice(0, over)) stuck.delete(inboxId);
      if (over > 0 || !mustAskPolar) return { over: inboxIds.slice(0, over), overview };
      return { over: [first], overview: await askPolar(first, patient) };
    } catch (error) {
      const failure = failureOf(error);
      log.error('an inbox event keeps failing', { inboxId: first, failure });
      stuck.add(first);
      return { over: [first], overview: await park(first, failure) };
    }
  };

  async function askPolar(inboxId: string, patient: boolean): Promise<TeamOverview> {
    const { applyInboxEventAskingPolar } = patient && polarAnswers ? polar : polarOnce;
    polarAnswers = false;
    const overview = await applyInboxEventAskingPolar(teamId, inboxId);
    polarAnswers = true;
    stuck.delete(inboxId);
    return overview;
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
