import {
  ActivityFailure,
  condition,
  continueAsNew,
  isCancellation,
  log,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { AppliedEvent } from '../activities/apply-inbox-event.ts';
import type { Activities } from '../activities/create-activities.ts';
import type { TeamStanding } from '../activities/describe-team.ts';
import { createDeadline } from './deadline.ts';
import { createDisplay } from './display.ts';
import { inboxEventMessage, inboxEventSignal, type TeamLifecycleInput } from './messages.ts';

/** An event that keeps failing for so long is parked as stuck, and the loop goes on. */
const giveUpAfter = '10 minutes';

// A short write to the ledger: as a local activity it costs no round trip to the server.
const ledger = proxyLocalActivities<Activities>({
  startToCloseTimeout: '20 seconds',
  scheduleToCloseTimeout: giveUpAfter,
  retry: { initialInterval: '200 milliseconds', maximumInterval: '15 seconds' },
});

// Asks Polar, which may take its time and may be down.
const polar = proxyActivities<Activities>({
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: giveUpAfter,
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});

/** Handled events that are remembered, so that a signal that comes twice costs no activity. */
const remembered = 100;

/** Between two attempts at something that failed for as long as `giveUpAfter`, in milliseconds. */
const pauseAfterFailure = 60_000;

/**
 * A team's lifecycle: its trial first, then whatever its inbox holds, and what falls due in between. The only writer
 * of the team's trial, cycles, expiry, purchases and refunds, so that these never race one another. All state is in
 * Postgres: started anew, it arrives at the same timers.
 */
export async function teamLifecycle({ teamId, state }: TeamLifecycleInput): Promise<void> {
  const queue: string[] = [...(state?.queue ?? [])];
  const recent = new Set(state?.recent);
  setHandler(inboxEventSignal, (message) => {
    const parsed = inboxEventMessage.safeParse(message);
    if (!parsed.success) return log.error('dropped a signal that is no inbox event');
    const { inboxId } = parsed.data;
    if (!recent.has(inboxId) && !queue.includes(inboxId)) queue.push(inboxId);
  });

  const deadline = createDeadline('Credits expire or arrive');
  const display = createDisplay();
  let standing = await untilDone(() => ledger.grantTrialCredits(teamId));
  display.show(standing);

  while (!standing.deleted) {
    const inboxId = queue[0];
    if (inboxId !== undefined) {
      const applied = await applyEvent(teamId, inboxId);
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
    await condition(() => queue.length > 0 || deadline.hasPassed());
  }
}

/** Applies one event; one that keeps failing is parked as stuck. Null where not even that could be written: the relay comes back to it. */
async function applyEvent(teamId: string, inboxId: string): Promise<AppliedEvent | null> {
  try {
    const applied = await ledger.applyInboxEvent(teamId, inboxId);
    return applied.mustAskPolar ? await polar.applyInboxEventAskingPolar(teamId, inboxId) : applied;
  } catch (error) {
    if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
    const failure = error.cause?.message ?? error.message;
    log.error('an inbox event keeps failing', { inboxId, failure });
    return ledger.parkStuckEvent(teamId, inboxId, failure).catch((again: unknown) => {
      if (!(again instanceof ActivityFailure) || isCancellation(again)) throw again;
      return null;
    });
  }
}

/** Without this step the team's lifecycle cannot go on: tried until it succeeds, with pauses. */
async function untilDone(step: () => Promise<TeamStanding>): Promise<TeamStanding> {
  while (true) {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
      log.error('a step keeps failing', { failure: error.cause?.message ?? error.message });
      setCurrentDetails(`**Failing:** ${error.cause?.message ?? error.message}`);
      await sleep(pauseAfterFailure, { summary: 'Pause after a failure' });
    }
  }
}

function remember(recent: Set<string>, inboxId: string): void {
  recent.add(inboxId);
  for (const oldest of recent) {
    if (recent.size <= remembered) break;
    recent.delete(oldest);
  }
}
