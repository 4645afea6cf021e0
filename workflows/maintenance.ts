import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  log,
  proxyActivities,
  setCurrentDetails,
} from '@temporalio/workflow';
import type { MaintenanceActivities } from '../activities/create-maintenance-activities.ts';
import type { LedgerVerdict } from '../activities/maintenance/verify-ledger.ts';

// Each works in many small steps and reports each. If the heartbeats stop, the worker has ended.
const activities = proxyActivities<MaintenanceActivities>({
  startToCloseTimeout: '12 hours',
  heartbeatTimeout: '1 minute',
  retry: { initialInterval: '10 seconds', maximumInterval: '5 minutes', maximumAttempts: 5 },
});

/**
 * Maintains the tables: creates the next months' partitions, closes months, deletes old keys, reduces old payloads, counts
 * days for usage reports, deletes delivered messages. Also sends the notices of expiring credits and encrypts secrets of
 * webhook endpoints with the newest key. If a step fails, the others still run. Then the run fails, so that the failure is
 * visible.
 */
export async function maintenance(): Promise<void> {
  const done: string[] = [];
  const failed: string[] = [];
  for (const [what, step] of [
    ['Partitions created', async () => activities.createMissingPartitions()],
    ['Months closed', async () => activities.closeMonths()],
    ['Idempotency keys deleted', async () => activities.deleteOldKeys()],
    ['Inbox payloads reduced to ids', async () => activities.cutOldPayloads()],
    // New steps come last, so that a run that began without them replays.
    ['Notices of expiring credits sent', async () => activities.announceExpiringCredits()],
    ['Time zones with days counted for reports', async () => activities.countUsageDays()],
    ['Delivered messages deleted', async () => activities.pruneOutbox()],
    ['Webhook endpoints encrypted with the newest key', async () => activities.resealWebhookSecrets()],
  ] as const) {
    try {
      const count = await step();
      done.push(typeof count === 'number' ? `${what}: ${count}` : what);
    } catch (error) {
      if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
      failed.push(`${what}: failed, ${error.cause?.message ?? error.message}`);
    }
    setCurrentDetails([...done, ...failed].map((line) => `- ${line}`).join('\n'));
  }
  if (failed.length > 0)
    throw ApplicationFailure.create({ type: 'maintenance_failed', message: failed.join('; ') });
}

/**
 * Checks the rules of the ledger, as `npm run ledger:verify` does. If there are findings, this run fails: a completed
 * run has checked every rule.
 */
export async function verifyLedger(): Promise<LedgerVerdict> {
  setCurrentDetails('Verifies the ledger. The activity’s heartbeat shows the progress.');
  const verdict = await activities.verifyLedger();
  setCurrentDetails(describe(verdict));
  if (verdict.found === 0) return verdict;
  log.error('rules of the ledger do not hold', { found: verdict.found, rules: verdict.rules });
  throw ApplicationFailure.create({
    type: 'ledger_rules_broken',
    message: `${verdict.found} findings: ${verdict.rules.join(', ')}`,
    details: [verdict],
    nonRetryable: true,
  });
}

function describe({ teams, transfers, holds, found, findings }: LedgerVerdict): string {
  const seen = `${teams} teams, ${transfers} transfers, ${holds} holds`;
  if (found === 0) return `**Every rule holds:** ${seen}`;
  return [
    `**${found} findings:** ${seen}`,
    '',
    '| rule | what | expected | found | look at |',
    '|---|---|---|---|---|',
    ...findings.map(
      ({ rule, teamId, subject, expected, found: is, lookNext }) =>
        `| ${[rule, `${subject}${teamId ? `, team ${teamId}` : ''}`, expected, is, lookNext].map(cell).join(' | ')} |`,
    ),
    ...(found > findings.length ? ['', 'These are the first. All of them: `npm run ledger:verify`'] : []),
  ].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
