import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { TeamOverview } from '../activities/describe-team.ts';
import {
  nextCreditExpiryAttribute,
  parkedEventsAttribute,
  planAttribute,
  subscriptionStatusAttribute,
} from './messages.ts';

/** What operators see of a team's workflow in the Temporal UI: its current details, and what they filter by. */
export interface Display {
  show(standing: TeamOverview): void;
}

export function createDisplay(): Display {
  let attributes = '';
  let lastDid = 'Started';
  return {
    show(standing) {
      lastDid = standing.lastDid ?? lastDid;
      setCurrentDetails(details(standing, lastDid));
      // Each upsert is an event in the history: only what changed is told.
      const next = [
        standing.plan,
        standing.subscriptionStatus,
        standing.nextCreditExpiry,
        standing.parked,
      ].join();
      if (next === attributes) return;
      attributes = next;
      upsertSearchAttributes([
        { key: planAttribute, value: standing.plan ?? 'none' },
        { key: subscriptionStatusAttribute, value: standing.subscriptionStatus ?? 'none' },
        { key: parkedEventsAttribute, value: standing.parked },
        {
          key: nextCreditExpiryAttribute,
          value: standing.nextCreditExpiry ? new Date(standing.nextCreditExpiry) : null,
        },
      ]);
    },
  };
}

function details(
  { deleted, plan, subscriptionStatus, asOf, balance, nextCreditExpiry, nextDueAt, parked }: TeamOverview,
  lastDid: string,
): string {
  const waits = deleted
    ? 'nothing: the team is deleted'
    : nextDueAt
      ? `the next event, or ${nextDueAt}, when credits expire or arrive`
      : 'the next event';
  return [
    `**Plan:** ${plan ? `${plan} (${subscriptionStatus})` : 'none'}`,
    '',
    '| source | credits |',
    '|---|---|',
    ...Object.entries(balance).map(([source, credits]) => `| ${source} | ${credits} |`),
    '',
    `**Next expiry:** ${nextCreditExpiry ?? 'none'}`,
    '',
    `**Waits for:** ${waits}`,
    '',
    `**Last did:** ${lastDid}`,
    '',
    `**As of:** ${asOf} (what is spent is in the ledger at once, and here with the next event)`,
    ...(parked > 0
      ? [
          '',
          `**Parked:** ${parked} ${parked === 1 ? 'event' : 'events'} cannot be applied; the inbox says why`,
        ]
      : []),
  ].join('\n');
}
