import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { TeamOverview } from '../activities/describe-team.ts';
import { groupThousands } from '../catalog/group-thousands.ts';
import {
  nextCreditExpiryAttribute,
  parkedEventsAttribute,
  planAttribute,
  subscriptionStatusAttribute,
} from './messages.ts';

/** What operators see of a team's workflow in the Temporal UI: its current details, and the attributes for filters. */
export interface Display {
  show(team: TeamOverview): void;
}

export function createDisplay(): Display {
  let attributes = '';
  let lastDid = 'Started';
  return {
    show(team) {
      lastDid = team.lastDid ?? lastDid;
      setCurrentDetails(details(team, lastDid));
      // Each upsert is an event in the history, so only changes are sent.
      const next = [team.plan, team.subscriptionStatus, team.nextCreditExpiry, team.parked].join();
      if (next === attributes) return;
      attributes = next;
      upsertSearchAttributes([
        { key: planAttribute, value: team.plan ?? 'none' },
        { key: subscriptionStatusAttribute, value: team.subscriptionStatus ?? 'none' },
        { key: parkedEventsAttribute, value: team.parked },
        {
          key: nextCreditExpiryAttribute,
          value: team.nextCreditExpiry ? new Date(team.nextCreditExpiry) : null,
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
    `**Credits:** ${Object.entries(balance)
      .map(([source, credits]) => `${source} ${groupThousands(credits)}`)
      .join(', ')}`,
    '',
    `**Next expiry:** ${nextCreditExpiry ?? 'none'}`,
    '',
    `**Waits for:** ${waits}`,
    '',
    `**Last did:** ${lastDid}`,
    '',
    `**As of:** ${asOf} (spends are in the ledger at once, and shown here with the next event)`,
    ...(parked > 0
      ? [
          '',
          `**Parked:** ${parked} ${parked === 1 ? 'event' : 'events'} cannot be applied; the inbox says why`,
        ]
      : []),
  ].join('\n');
}
