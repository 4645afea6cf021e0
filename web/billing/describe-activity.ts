import type { Schema } from '../data/schema.ts';
import type { MessageKey, Translate } from '../i18n/text.ts';

export type Activity = Schema<'ActivityPage'>['data'][number];
type Change = Schema<'CreditsActivity'>['change'];

/** Whether a change gave credits that can be spent, or took them. */
export const changeSign: Record<Change, '' | '-'> = {
  granted: '',
  expired: '-',
  reinstated: '',
  clawed_back: '-',
  clawback_reversed: '',
  debt_settled: '-',
  debt_settlement_reversed: '',
  taken_by_adjustment: '-',
  forfeited: '-',
};

type ActKey = Extract<MessageKey, `act.${string}`>;

/** Administrative acts that have a text. Others show their name. */
const acts: Record<string, ActKey> = {
  'alerts.set': 'act.alertsSet',
  'credits.adjusted': 'act.adjusted',
  'invitation.sent': 'act.invited',
  'invitation.accepted': 'act.joined',
  'invitation.declined': 'act.declined',
  'invitation.revoked': 'act.uninvited',
  'limit.set': 'act.limitSet',
  'limit.removed': 'act.limitRemoved',
  'member.added': 'act.memberAdded',
  'member.changed': 'act.roleChanged',
  'member.removed': 'act.memberRemoved',
  'subscription.changed': 'act.planChanged',
  'subscription.changed.requested': 'act.planChangeRequested',
  'subscription.changed.refused': 'act.planChangeRefused',
  'subscription.canceled': 'act.planCanceled',
  'subscription.canceled.requested': 'act.cancelRequested',
  'subscription.canceled.refused': 'act.cancelRefused',
  'subscription.resumed': 'act.planResumed',
  'subscription.resumed.requested': 'act.resumeRequested',
  'subscription.resumed.refused': 'act.resumeRefused',
  'team.created': 'act.teamCreated',
  'team.renamed': 'act.teamRenamed',
};

/** An administrative act in the reader's words. */
export function actText(action: string, t: Translate): string {
  const key = acts[action];
  return key ? t(key) : action;
}

/** Entries without the requests whose outcome is listed too. A request without an outcome stays. Entries are newest first. */
export function withoutAnsweredRequests(entries: readonly Activity[]): Activity[] {
  const unmatched = new Map<string, number>();
  return entries.filter((entry) => {
    if (entry.kind !== 'act') return true;
    const [, request] = /^(.+)\.requested$/.exec(entry.action) ?? [];
    const act = request ?? entry.action.replace(/\.refused$/, '');
    const outcomes = unmatched.get(act) ?? 0;
    if (request === undefined) unmatched.set(act, outcomes + 1);
    else if (outcomes > 0) unmatched.set(act, outcomes - 1);
    return request === undefined || outcomes === 0;
  });
}
