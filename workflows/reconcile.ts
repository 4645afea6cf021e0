import {
  ActivityFailure,
  ApplicationFailure,
  condition,
  continueAsNew,
  isCancellation,
  log,
  proxyActivities,
  rootCause,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { ReconciliationActivities } from '../activities/create-reconciliation-activities.ts';
import type { Report } from '../activities/reconciliation/record-reconciliation.ts';
import type { ReconciliationFinding } from '../reconciliation/store-repair.ts';
import { approveUpdate, type OperatorMessage, readOperatorMessage } from './messages.ts';

/** If a page cannot be fetched for this long, the run fails. The next run starts from the beginning. */
const stepTimeout = '20 minutes';
const activities = proxyActivities<ReconciliationActivities>({
  startToCloseTimeout: '5 minutes',
  scheduleToCloseTimeout: stepTimeout,
  retry: { initialInterval: '2 seconds', maximumInterval: '2 minutes' },
});

/** The pause between two pages, in milliseconds, so that callers that wait for Polar come first. */
const pagePauseMs = 1_000;
/** How long this run waits for operators' approvals. The next run offers the same repairs again. */
const approvalWindow = '20 minutes';
/** The maximum number of differences in a report. All of them are counted, and stored in the inbox. */
const mostFindings = 200;
/** The maximum number in the workflow's current details. */
const mostShown = 30;

const kinds = ['orders', 'unpaid_orders', 'subscriptions', 'refunds', 'disputes'] as const;
type Kind = (typeof kinds)[number];

/** The kinds of objects to compare. Those that need no Polar come first. */
type At =
  | { step: 'teams'; after: string | null }
  | { step: 'webhook endpoint' }
  | { step: Kind; page: number }
  | { step: 'done' };

export interface ReconcileInput {
  /** Compares all of Polar's objects, not only recent ones. */
  everything?: boolean;
  /** Carried over by continue-as-new. */
  state?: ReconcileState;
}

interface ReconcileState {
  report: Report;
  at: At;
  /** What could not be compared, and why. */
  failures: string[];
  /** Inbox ids of repairs that wait for an approval. */
  awaiting: string[];
  approved: OperatorMessage[];
}

/**
 * Starts the workflows that should run and do not. Then compares Polar's orders, subscriptions, refunds and disputes
 * with the ledger, and puts differences into the teams' inboxes, so that each team's own workflow repairs them. A
 * large repair waits for an operator: this run accepts the update `approve` while it waits. If Polar refuses a part,
 * the rest is still compared. Then the run fails, so that the failure is visible.
 */
export async function reconcile({ everything = false, state }: ReconcileInput = {}): Promise<Report> {
  const { report, awaiting, approved, failures, ...carried } = state ?? (await begin());
  let { at } = carried;
  setHandler(
    approveUpdate,
    (approval) => {
      approved.push(readOperatorMessage(approval));
    },
    {
      validator(approval) {
        const { inboxId } = readOperatorMessage(approval);
        if (!awaiting.includes(inboxId))
          throw new Error(`No repair ${inboxId} waits for an approval in this run`);
      },
    },
  );

  while (at.step !== 'done') {
    setCurrentDetails(describe(report, `Looks at ${at.step}`));
    at = await tryStep(at);
    if (workflowInfo().continueAsNewSuggested) {
      await continueAsNew<typeof reconcile>({
        everything,
        state: { report, at, failures, awaiting, approved },
      });
    }
  }
  if (awaiting.length > 0) await waitForApprovals();
  await finish(report, failures.length > 0 ? 'failed' : 'completed');
  if (failures.length === 0) return report;
  throw ApplicationFailure.create({
    type: 'reconciliation_failed',
    message: failures.join('; '),
    nonRetryable: true,
  });

  async function tryStep(at: Exclude<At, { step: 'done' }>): Promise<At> {
    try {
      return await take(at);
    } catch (error) {
      if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
      const failure = `${at.step}: ${rootCause(error) ?? error.message}`;
      log.error('reconciliation could not compare everything', { failure });
      failures.push(failure);
      const what = `This run could not compare ${failure}`;
      note(report, [{ state: 'not_repaired', what, teamId: null, inboxId: null, credits: '0' }]);
      // If Polar refuses one request, it may answer another. If it is down, the run does not wait for it repeatedly.
      const refused = error.retryState === 'NON_RETRYABLE_FAILURE';
      return at.step === 'teams' || refused ? following(at.step) : { step: 'done' };
    }
  }

  async function take(at: Exclude<At, { step: 'done' }>): Promise<At> {
    if (at.step === 'teams') {
      const after = await startTeams(report, at.after);
      return after === null ? following('teams') : { step: 'teams', after };
    }
    if (at.step === 'webhook endpoint') {
      const finding = await activities.checkWebhookEndpoint();
      if (finding) note(report, [finding]);
      return following('webhook endpoint');
    }
    const page = await walkPage(at.step, at.page);
    return page === null ? following(at.step) : { step: at.step, page };
  }

  /** @returns the next page, null if this was the last */
  async function walkPage(kind: Kind, page: number): Promise<number | null> {
    const run = { id: report.id, startedAt: report.startedAt };
    const { seen, findings, next } = await activities.reconcilePage(run, kind, page, everything);
    count(report, kind, seen);
    note(report, findings);
    for (const { state, inboxId } of findings)
      if (state === 'needs_approval' && inboxId && !awaiting.includes(inboxId)) awaiting.push(inboxId);
    if (next !== null) await sleep(pagePauseMs, { summary: 'Pause between two pages' });
    return next;
  }

  async function waitForApprovals(): Promise<void> {
    report.status = 'waiting';
    await activities.recordReconciliation(report);
    while (awaiting.length > 0) {
      setCurrentDetails(
        describe(report, `Waits for the approval of ${awaiting.join(', ')} (update \`approve\`)`),
      );
      if (!(await condition(() => approved.length > 0, approvalWindow))) return;
      for (const { inboxId, by } of approved.splice(0)) {
        const released = await activities.approveRepair(inboxId, by);
        awaiting.splice(0, awaiting.length, ...awaiting.filter((id) => id !== inboxId));
        if (released) approve(report, inboxId, by);
      }
    }
  }
}

/** The first page of the next step. */
function following(step: Exclude<At['step'], 'done'>): At {
  if (step === 'teams') return { step: 'webhook endpoint' };
  const next = step === 'webhook endpoint' ? kinds[0] : kinds[kinds.indexOf(step) + 1];
  return next ? { step: next, page: 1 } : { step: 'done' };
}

async function begin(): Promise<ReconcileState> {
  const startedAt = await activities.readTime();
  const report: Report = {
    id: workflowInfo().firstExecutionRunId,
    startedAt,
    finishedAt: null,
    status: 'running',
    counts: {},
    findings: [],
  };
  await activities.recordReconciliation(report);
  return { report, at: { step: 'teams', after: null }, failures: [], awaiting: [], approved: [] };
}

/** @returns the last team of this batch, null if there are no more */
async function startTeams(report: Report, after: string | null): Promise<string | null> {
  const { checked, started, next } = await activities.startTeams(after);
  count(report, 'teams', checked);
  count(report, 'teams_started', started.length);
  return next;
}

async function finish(report: Report, status: 'completed' | 'failed'): Promise<void> {
  report.finishedAt = await activities.readTime();
  report.status = status;
  setCurrentDetails(describe(report, status === 'completed' ? 'Completed' : 'Failed'));
  await activities.recordReconciliation(report);
}

function count(report: Report, what: string, more: number): void {
  report.counts[what] = (report.counts[what] ?? 0) + more;
}

function note(report: Report, findings: readonly ReconciliationFinding[]): void {
  for (const { state } of findings) count(report, state, 1);
  // Findings for an operator are kept before those that are repaired automatically.
  report.findings.push(...findings);
  if (report.findings.length <= mostFindings) return;
  const urgent = (finding: ReconciliationFinding) =>
    finding.state !== 'repaired' && finding.state !== 'waiting';
  const ranked = [...report.findings.filter(urgent), ...report.findings.filter((one) => !urgent(one))];
  report.findings = ranked.slice(0, mostFindings);
}

function approve(report: Report, inboxId: string, by: string): void {
  count(report, 'needs_approval', -1);
  count(report, 'approved', 1);
  for (const finding of report.findings) {
    if (finding.inboxId !== inboxId) continue;
    finding.state = 'repaired';
    finding.what = `${finding.what}; approved by ${by}`;
  }
}

function describe({ counts, findings }: Report, at: string): string {
  return [
    `**${at}**`,
    '',
    '| | |',
    '|---|---|',
    ...Object.entries(counts).map(([what, number]) => `| ${what} | ${number} |`),
    '',
    ...findings
      .slice(0, mostShown)
      .map(
        ({ state, what, credits, inboxId }) =>
          `- **${state}**: ${what} (${credits} credits; inbox ${inboxId ?? '-'})`,
      ),
    ...(findings.length > mostShown
      ? ['', 'These are the first. All of them: `GET /v1/reconciliations`']
      : []),
  ].join('\n');
}
