import {
  allHandlersFinished,
  condition,
  continueAsNew,
  log,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { TeamOverview } from '../activities/describe-team.ts';
import { createAside, giveUpAfterMs } from './aside.ts';
import { createDeadline } from './deadline.ts';
import { createDisplay } from './display.ts';
import { describeFailure, isUnexpected, retried, teamAfterParking, untilDone } from './failures.ts';
import {
  assignUpdate,
  dismissUpdate,
  type InboxEventMessage,
  inboxEventSignal,
  readAssignMessage,
  readDismissMessage,
  readInboxEvents,
  readOperatorMessage,
  retryUpdate,
  type TeamLifecycleInput,
} from './messages.ts';
import { ledger, needsPolar, stepOf, summaryOf, takeFromInbox } from './steps.ts';
import { createWaitingEvents } from './waiting-events.ts';

/**
 * A team's life: first its trial, then a step for each event of its inbox (`steps.ts` says which), and in between
 * credits that expire or drips that are due, until the team is deleted. This workflow is the only writer of the team's
 * trial, cycles, expiry, purchases and refunds. All state is in Postgres: a new run sets the same timers. An event
 * that needs Polar, or fails, goes to the aside lane, and the team's other events continue.
 */
export async function teamLifecycle({ teamId, state }: TeamLifecycleInput): Promise<void> {
  const waiting = createWaitingEvents(state?.waiting);
  let stepsTaken = 0;
  const aside = createAside(teamId, () => stepsTaken);
  const isFree = (inboxId: string) => !aside.has(inboxId);
  const deadline = createDeadline();
  const display = createDisplay();
  listen();

  let team = await beginTrial();
  for (;;) {
    display.show(team);
    if (team.deleted && waiting.size() === 0) {
      await condition(allHandlersFinished);
      if (waiting.size() === 0) return; // a later event starts the workflow again
    }
    await continueAsNewIfSuggested();
    deadline.moveTo(team.nextDueAt, team.nextDueAt === team.nextDripAt ? 'Credits arrive' : 'Credits expire');
    await condition(() => hasWork() || deadline.hasPassed());

    if (deadline.hasPassed()) await takeDueSteps(deadline.at());
    await returnFromAside();
    await skipOlderStates();
    const event = waiting.next(isFree);
    if (event) await takeStepOf(event);
  }

  /** Grants the trial once, whichever signal started the workflow. Also settles the waiting `team.created`. */
  async function beginTrial(): Promise<TeamOverview> {
    const created = waiting.all().filter(({ type }) => type === 'team.created');
    const ids = created.map(({ inboxId }) => inboxId);
    const begun = await untilDone(() => ledger('Trial of a new team').grantTrialCredits(teamId, ids));
    for (const inboxId of ids) waiting.remove(inboxId);
    return begun;
  }

  /** Between events: a drip of a yearly allotment is due, or credits expire. */
  async function takeDueSteps(due: string | null): Promise<void> {
    if (due !== null && team.nextDripAt !== null && team.nextDripAt <= due)
      team = await untilDone(() => ledger(`due ${team.nextDripAt}`).grantDrips(teamId));
    if (due !== null && team.nextCreditExpiry !== null && team.nextCreditExpiry <= due)
      team = await untilDone(() => ledger(`due ${team.nextCreditExpiry}`).expireCredits(teamId));
    stepsTaken += 1;
  }

  /** A purchase, a cycle, a plan change, a refund, …: the step that `stepOf` chooses for the event. */
  async function takeStepOf(event: InboxEventMessage): Promise<void> {
    if (needsPolar(event)) return aside.add(event);
    try {
      const result =
        stepOf(event) === 'recordEvents'
          ? await recordEvents()
          : await retried(() => takeFromInbox(teamId, event), giveUpAfterMs);
      stepsTaken += 1;
      if (result === 'needs_polar') return aside.add(event);
      waiting.remove(event.inboxId);
      team = result;
    } catch (error) {
      const failure = describeFailure(error);
      const parked = teamAfterParking(error);
      if (!parked && isUnexpected(error)) return aside.add(event);
      if (!parked) log.error('the inbox cannot be read; the relay signals its events again', { failure });
      waiting.remove(event.inboxId);
      team = parked ?? team;
    }
  }

  /** All waiting events that have no step. */
  async function recordEvents(): Promise<TeamOverview> {
    const events = waiting.all().filter((event) => isFree(event.inboxId) && stepOf(event) === 'recordEvents');
    const some = events.slice(0, 400);
    const types = [...new Set(some.map(summaryOf))].slice(0, 5).join(', ');
    const ids = some.map(({ inboxId }) => inboxId);
    const recorded = await retried(() => ledger(types).recordEvents(teamId, ids), giveUpAfterMs);
    for (const inboxId of ids) waiting.remove(inboxId);
    return recorded;
  }

  /** Of several waiting states of one subscription, order or list of members only the newest is used. */
  async function skipOlderStates(): Promise<void> {
    if (waiting.next(isFree)?.type === 'order.paid') return;
    const ids = waiting.takeStates(isFree);
    if (ids.length === 0) return;
    try {
      const skip = () => ledger(`of ${ids.length} waiting states`).skipOlderStates(teamId, ids);
      for (const inboxId of await retried(skip, giveUpAfterMs)) waiting.remove(inboxId);
    } catch (error) {
      log.error('older states could not be skipped', { failure: describeFailure(error) });
    }
  }

  /** Removes the events that the aside lane has settled. */
  async function returnFromAside(): Promise<void> {
    for (const { inboxId, team: then, begunAfter } of aside.takeSettled()) {
      waiting.remove(inboxId);
      // The step may have read the team before a step outside the lane.
      const why = then ? 'because two steps ran at the same time' : 'because an event could not be parked';
      if (then === null || begunAfter !== stepsTaken)
        team = await untilDone(() => ledger(why).reviewTeam(teamId));
      else team = then;
      if (then?.lastDid) team = { ...team, lastDid: then.lastDid };
    }
  }

  async function continueAsNewIfSuggested(): Promise<void> {
    if (!workflowInfo().continueAsNewSuggested) return;
    await condition(allHandlersFinished);
    await continueAsNew<typeof teamLifecycle>({ teamId, state: { waiting: waiting.all() } });
  }

  /** Called after each signal. Events in the aside lane count until it returns them. */
  function hasWork(): boolean {
    return waiting.size() > aside.size() || aside.hasSettled();
  }

  /** Signal and update handlers only check and enqueue. A decision of an operator is stored first. */
  function listen(): void {
    setHandler(inboxEventSignal, (message) => {
      const events = readInboxEvents(message);
      if (events.length === 0) return log.error('dropped a signal without an inbox event');
      for (const event of events) waiting.add(event);
    });
    setHandler(
      retryUpdate,
      async ({ inboxId, by }) => {
        log.info('an operator requested a retry', { inboxId, by });
        waiting.add(await ledger('retry').findEvent(teamId, inboxId, by));
      },
      { validator: (message) => void readOperatorMessage(message) },
    );
    setHandler(
      dismissUpdate,
      async (message) => {
        const { inboxId, ...decider } = readDismissMessage(message);
        waiting.add(await ledger('dismiss').dismissParkedEvent(teamId, inboxId, decider));
      },
      { validator: (message) => void readDismissMessage(message) },
    );
    setHandler(
      assignUpdate,
      async (message) => {
        const { inboxId, product, ...decider } = readAssignMessage(message);
        waiting.add(await ledger('assign').assignParkedEvent(teamId, inboxId, product, decider));
      },
      { validator: (message) => void readAssignMessage(message) },
    );
  }
}
