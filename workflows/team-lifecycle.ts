import {
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
import type { AppliedEvent } from '../activities/apply-inbox-event.ts';
import type { Activities } from '../activities/create-activities.ts';
import type { TeamStanding } from '../activities/describe-team.ts';
import { createDeadline } from './deadline.ts';
import { createDisplay } from './display.ts';
import {
  inboxEventSignal,
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
const polar = proxyActivities<Activities>({
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: giveUpAfter,
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});

/** Handled events that are remembered, so that a signal that comes twice costs no activity. */
const remembered = 100;

/** Between two attempts at something that failed, in milliseconds: doubled each time. */
const firstPause = 1_000;
const longestPause = 60_000;

/**
 * A team's lifecycle: its trial first, then whatever its inbox holds, and what falls due in between. The only writer
 * of the team's trial, cycles, expiry, purchases and refunds, so that these never race one another. All state is in
 * Postgres: started anew, it arrives at the same timers.
 */
export async function teamLifecycle({ teamId, state }: TeamLifecycleInput): Promise<void> {
  const queue: string[] = [...(state?.queue ?? [])];
  const recent = new Set(state?.recent);
  const stuck = new Set<string>();
  setHandler(inboxEventSignal, (message) => {
    const inboxId = readInboxId(message);
    if (inboxId === null) return log.error('dropped a signal that is no inbox event');
    if (!recent.has(inboxId) && !queue.includes(inboxId)) queue.push(inboxId);
  });
  setHandler(
    retryUpdate,
    ({ inboxId, by }) => {
      log.info('an operator wants an event tried again', { inboxId, by });
      if (!queue.includes(inboxId)) queue.push(inboxId);
    },
    {
      validator(message) {
        const { inboxId } = readOperatorMessage(message);
        if (recent.has(inboxId)) throw new Error(`The event ${inboxId} has been applied`);
      },
    },
  );

  const deadline = createDeadline('Credits expire or arrive');
  const display = createDisplay();
  let standing = await untilDone(() => ledger.grantTrialCredits(teamId));
  display.show(standing);

  // A deleted team's workflow hears what there is to hear, then ends; what comes later starts it again.
  while (!standing.deleted || queue.length > 0) {
    const inboxId = queue[0];
    if (inboxId !== undefined) {
      let over = false;
      const applying = applyEvent(teamId, inboxId, stuck).finally(() => {
        over = true;
      });
      applying.catch(() => {}); // thrown below
      // An event may fail for minutes until it is given up: what falls due does not wait for it.
      while (!over) {
        await condition(() => over || deadline.hasPassed());
        if (over) break;
        standing = await untilDone(() => ledger.bookDueCredits(teamId));
        display.show(standing);
        deadline.moveTo(standing.nextDueAt);
      }
      const applied = await applying;
      queue.shift();
      if (applied?.settled) remember(recent, inboxId);
      standing = applied?.standing ?? standing;
    } else if (deadline.hasPassed()) {
      standing = await untilDone(() => ledger.bookDueCredits(teamId));
    }
    display.show(standing);
    if (workflowInfo().continueAsNewSuggested) {
      await continueAsNew<typeof teamLifecycle>({ teamId, state: { queue, recent: [...recent] } });
    }
    deadline.moveTo(standing.nextDueAt);
    await condition(() => standing.deleted || queue.length > 0 || deadline.hasPassed());
  }
}

/**
 * Applies one event; one that keeps failing is parked as stuck, and one that was stuck before at once. Null where not
 * even that could be written: the relay comes back to it.
 */
async function applyEvent(teamId: string, inboxId: string, stuck: Set<string>): Promise<AppliedEvent | null> {
  try {
    const patience = stuck.has(inboxId) ? 0 : giveUpAfter;
    const applied = await retried(() => ledger.applyInboxEvent(teamId, inboxId), patience);
    const settled = applied.mustAskPolar ? await polar.applyInboxEventAskingPolar(teamId, inboxId) : applied;
    stuck.delete(inboxId);
    return settled;
  } catch (error) {
    const failure = failureOf(error);
    log.error('an inbox event keeps failing', { inboxId, failure });
    remember(stuck, inboxId);
    return ledger.parkStuckEvent(teamId, inboxId, failure).catch((again: unknown) => {
      failureOf(again);
      return null;
    });
  }
}

/** Without this step the team's lifecycle cannot go on: tried until it succeeds. */
function untilDone(step: () => Promise<TeamStanding>): Promise<TeamStanding> {
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

/** Keeps the latest few. */
function remember(ids: Set<string>, inboxId: string): void {
  ids.add(inboxId);
  for (const oldest of ids) {
    if (ids.size <= remembered) break;
    ids.delete(oldest);
  }
}
