import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import { z } from 'zod';
import { createActivities } from '../../activities/create-activities.ts';
import { createReconciliationActivities } from '../../activities/create-reconciliation-activities.ts';
import type { TeamOverview } from '../../activities/describe-team.ts';
import { storeWebhook } from '../../api/routes/polar-webhook.ts';
import { priceUsage } from '../../catalog/price-usage.ts';
import { readCatalog } from '../../catalog/versions.ts';
import { InboxEvent } from '../../database/entities/inbox-event.ts';
import { hasCode } from '../../domain-error.ts';
import { needsApproval } from '../../inbox/inbox.ts';
import { readWaitingEvent, type WaitingEvent } from '../../inbox/waiting-event.ts';
import { type Walked, walked } from '../../reconciliation/polar-page.ts';
import { signUp } from '../../teams/sign-up.ts';
import { teamAfterParking } from '../../workflows/failures.ts';
import { stepOf } from '../../workflows/steps.ts';
import { mostUrgent } from '../../workflows/waiting-events.ts';
import type { Lane } from '../ledger/model/ledger-under-test.ts';
import { openPolar, type PolarTeam } from './emulated-polar.ts';
import { type Deed, day, type Fate, type Schedule, type Story } from './stories.ts';

/** A team in the story, which gets its webhooks by its schedule. */
export interface Listener {
  teamId: string;
  /** Null: undisturbed. */
  schedule: Schedule | null;
  atPolar: PolarTeam;
  /** The events of each order's money, and when we got them. */
  moneyBack: Map<string, { from: number; heard: number }>;
}

export interface Played {
  undisturbed: Listener;
  disturbed: Listener[];
}

interface Hearer extends Listener {
  /** The events that have not arrived yet. */
  onTheWay: Arrival[];
  overview: TeamOverview;
  /** How many webhooks Polar has sent to it, and how many repairs reconciliation has stored. */
  told: number;
}

interface Arrival {
  at: number;
  rank: number;
  /** The order that it concerns. */
  order: string | null;
  /** Stores the event. Returns the inbox row that the team must process. */
  arrive(): Promise<string | null>;
}

const undisturbed: Fate = { delay: 0, lost: false, again: null, rank: 0 };
const minute = 60_000;
/** Slightly longer than the lifetime of a late allotment. */
const lateLife = 8 * day;

/**
 * Plays a story for one team that gets every event at once, and for one team for each schedule. Then Polar stops,
 * reconciliation finds what was lost, and events that arrive later change nothing. All teams use one clock and one
 * Polar.
 *
 * @throws if something is left: an event that cannot be applied, a difference, a deadline that stays due
 */
export async function playStory(lane: Lane, story: Story, schedules: readonly Schedule[]): Promise<Played> {
  let now = story.begins.getTime();
  const { database } = lane;
  await lane.setClock(now);
  const shop = await openPolar(database, () => new Date(now), story);
  try {
    return await play();
  } finally {
    await shop.stop();
  }

  async function play() {
    const { polar } = shop;
    const activities = createActivities({ database, polar });
    const reconciliation = createReconciliationActivities({
      database,
      polar,
      polarRequestsPerMinute: 500,
      startTeam: async () => false,
    });
    const hearers: Hearer[] = [];
    for (const schedule of [null, ...schedules]) hearers.push(await admit(schedule));
    const [first, ...others] = hearers;
    if (!first) throw new Error('a story is about somebody');
    const teams = hearers.map(({ atPolar }) => atPolar);
    let polarDue: Date | null = null;

    for (const { after, deed } of story.steps) {
      await goTo(now + after);
      await perform(deed);
    }
    await goTo(now + story.rest);
    polarDue = null; // from now on Polar does nothing
    await goTo(now + 3 * minute); // reconciliation leaves newer changes to webhooks

    await reconcile(walked, { atOnce: true });
    await goTo(now + minute);
    for (const hearer of hearers) await deliver(hearer, Number.POSITIVE_INFINITY); // events that arrive after everything else
    expect(await reconcile(walked, { atOnce: true })).toEqual([]);
    await goTo(now + lateLife);
    for (const { teamId } of hearers) expect(await leftOver(teamId)).toEqual([]);
    return { undisturbed: first, disturbed: others };

    async function admit(schedule: Schedule | null): Promise<Hearer> {
      const person = randomUUID();
      const profile = { id: person, email: `${person}@example.com`, name: person };
      const { team, inboxId } = await signUp(database, profile, { kind: 'service', keyId: 'test' });
      const overview = await activities.grantTrialCredits(team.id, []);
      const atPolar = await shop.admit(team.id);
      const told = { onTheWay: [], told: 0, moneyBack: new Map() };
      const hearer = { teamId: team.id, schedule, atPolar, overview, ...told };
      if (inboxId) await hear(hearer, [inboxId]);
      return hearer;
    }

    /** Moves the clock to `end`, and stops at each time when Polar acts, a webhook arrives or something is due. */
    async function goTo(end: number): Promise<void> {
      for (;;) {
        const next = Math.min(
          end,
          polarDue?.getTime() ?? end,
          ...hearers.flatMap(({ onTheWay, overview: { nextDueAt } }) => [
            ...onTheWay.map(({ at }) => at),
            ...(nextDueAt === null ? [] : [Math.max(Date.parse(nextDueAt), now)]),
          ]),
        );
        if (next > now) await lane.setClock(next);
        now = next;
        if (polarDue && polarDue.getTime() <= now) {
          await shop.renewDue();
          await takeWebhooks();
        }
        for (const hearer of hearers) {
          await deliver(hearer, now);
          await bookDue(hearer);
        }
        if (next >= end) return;
      }
    }

    /** A due time is done after it is booked: the workflow's timer does not fire for it again. */
    async function bookDue(hearer: Hearer): Promise<void> {
      if (!isDue(hearer)) return;
      await activities.grantDrips(hearer.teamId);
      hearer.overview = await activities.expireCredits(hearer.teamId);
      if (isDue(hearer)) throw new Error(`what was due at ${hearer.overview.nextDueAt} stays due`);
    }

    function isDue({ overview: { nextDueAt } }: Hearer): boolean {
      return nextDueAt !== null && Date.parse(nextDueAt) <= now;
    }

    async function perform(deed: Deed): Promise<void> {
      if (deed.kind === 'spend') {
        for (const { teamId } of hearers) await spend(lane, teamId, deed.credits);
        return;
      }
      if (deed.kind === 'reconcile') return void (await reconcile(walked, { atOnce: false }));
      if (!(await shop.perform(deed, teams))) return;
      await takeWebhooks();
      for (const hearer of hearers) await deliver(hearer, now);
      // A dispute has no event, so reconciliation must find it.
      if (deed.kind === 'dispute' || deed.kind === 'win' || deed.kind === 'lose')
        await reconcile(['disputes'], { atOnce: false });
    }

    /** Schedules the delivery of the webhooks that Polar has created since then. */
    async function takeWebhooks(): Promise<void> {
      await shop.idle();
      polarDue = await shop.nextDue();
      for (const hearer of hearers)
        for (const webhook of hearer.atPolar.sent.splice(0)) {
          const order = orderOf(webhook.payload);
          if (webhook.type.startsWith('refund.')) noteMoneyBack(hearer, order);
          const { delay, lost, again, rank } = nextFate(hearer);
          if (lost) continue;
          const arrive = async () => {
            const { id, teamId } = await storeWebhook(database, webhook);
            return teamId === null ? null : id; // an event that is already stored is not processed again
          };
          hearer.onTheWay.push({ at: now + delay, rank, order, arrive });
          if (again !== null) hearer.onTheWay.push({ at: now + delay + again, rank, order, arrive });
        }
    }

    function nextFate(hearer: Hearer): Fate {
      const { schedule } = hearer;
      hearer.told += 1;
      return schedule?.[(hearer.told - 1) % Math.max(schedule.length, 1)] ?? undisturbed;
    }

    /** Delivers the events that are due until `until`, in order, and processes them. */
    async function deliver(hearer: Hearer, until: number): Promise<void> {
      const due = hearer.onTheWay.filter(({ at }) => at <= until);
      if (due.length === 0) return;
      hearer.onTheWay = hearer.onTheWay.filter(({ at }) => at > until);
      const inboxIds: string[] = [];
      for (const { order, arrive } of due.sort((a, b) => a.at - b.at || a.rank - b.rank)) {
        const inboxId = await arrive();
        if (inboxId !== null) inboxIds.push(inboxId);
        const told = hearer.moneyBack.get(order ?? '');
        if (told) told.heard = now;
      }
      await hear(hearer, inboxIds);
      if (hearer.overview.parked > 0) await hear(hearer, await listParked(hearer)); // as the relay does
    }

    /** As the team's workflow does: older states first, then the most urgent event. */
    async function hear(hearer: Hearer, inboxIds: readonly string[]): Promise<void> {
      const { teamId } = hearer;
      const skipped = new Set(await activities.skipOlderStates(teamId, inboxIds));
      const events = inboxIds.filter((inboxId) => !skipped.has(inboxId)).map((inboxId) => readEvent(inboxId));
      let waiting = await Promise.all(events);
      for (let event = mostUrgent(waiting); event; event = mostUrgent(waiting)) {
        const { inboxId } = event;
        waiting = waiting.filter((other) => other.inboxId !== inboxId);
        hearer.overview = await takeStep(teamId, event);
      }
    }

    async function readEvent(inboxId: string): Promise<WaitingEvent> {
      const event = await readWaitingEvent(database.fork(), inboxId);
      if (!event) throw new Error(`the inbox has no event ${inboxId}`);
      return event;
    }

    /** From what is stored, else by Polar's current state; the team as well if the event is parked. */
    async function takeStep(teamId: string, event: WaitingEvent): Promise<TeamOverview> {
      const step = stepOf(event);
      if (step === 'recordEvents') return activities.recordEvents(teamId, [event.inboxId]);
      try {
        const stored = await activities[step](teamId, event.inboxId, 'inbox');
        const team =
          stored === 'needs_polar' ? await activities[step](teamId, event.inboxId, 'polar') : stored;
        if (team === 'needs_polar') throw new Error(`Polar does not settle ${event.type}`);
        return team;
      } catch (error) {
        const parked = teamAfterParking(error);
        if (!parked) throw error;
        return parked;
      }
    }

    async function listParked({ teamId }: Hearer): Promise<string[]> {
      const left = await leftOver(teamId);
      return left.filter(({ parkedCode }) => parkedCode !== needsApproval).map(({ id }) => id);
    }

    function noteMoneyBack({ moneyBack }: Hearer, order: string | null): void {
      if (order !== null && !moneyBack.has(order)) moneyBack.set(order, { from: now, heard: now });
    }

    async function leftOver(teamId: string): Promise<InboxEvent[]> {
      return database.fork().find(InboxEvent, { teamId, status: { $in: ['received', 'parked'] } });
    }

    /**
     * Compares Polar with the ledger, and gives each team its differences: at once, or by its schedule. A team that
     * got every event has no differences, except disputes.
     */
    async function reconcile(kinds: readonly Walked[], { atOnce }: { atOnce: boolean }): Promise<string[]> {
      const run = { id: randomUUID(), startedAt: new Date(now).toISOString() };
      const found: string[] = [];
      for (const kind of kinds) {
        for (let page: number | null = 1; page !== null; ) {
          const walk = await reconciliation.reconcilePage(run, kind, page, atOnce);
          page = walk.next;
          for (const { teamId, inboxId, state, what } of walk.findings) {
            // Two subscriptions of one team are a conflict for an operator, not a difference.
            if (state === 'needs_operator') continue;
            found.push(`${state}: ${what}`);
            const hearer = hearers.find((one) => one.teamId === teamId);
            if (!hearer || inboxId === null)
              throw new Error(`reconciliation finds what is nobody's: ${what}`);
            if (!hearer.schedule && kind !== 'disputes')
              throw new Error(`the team that heard of everything lacks something: ${what}`);
            if (state === 'needs_approval') await reconciliation.approveRepair(inboxId, 'a test');
            const order = orderOf((await database.fork().findOneOrFail(InboxEvent, { id: inboxId })).payload);
            if (kind === 'disputes') noteMoneyBack(hearer, order);
            const { delay, rank } = atOnce ? undisturbed : nextFate(hearer);
            hearer.onTheWay.push({ at: now + delay, rank, order, arrive: async () => inboxId });
            await deliver(hearer, now);
          }
        }
      }
      return found;
    }
  }
}

const about = z.object({
  data: z.object({ id: z.string(), order_id: z.string().nullish(), net_amount: z.unknown().optional() }),
});

/** The order of an event. */
function orderOf(payload: unknown): string | null {
  const read = about.safeParse(payload);
  if (!read.success) return null;
  const { id, order_id, net_amount } = read.data.data;
  return order_id ?? (net_amount === undefined ? null : id);
}

/** Spends this many credits, or nothing. */
async function spend({ database, creditOperations }: Lane, teamId: string, credits: number): Promise<void> {
  const { catalogVersion, catalog } = await readCatalog(database);
  const runs = { runs: BigInt(2 * credits) * 1_000_000n }; // half a credit each
  const priced = priceUsage(catalog, 'workflow.run', runs);
  try {
    await creditOperations.spend({
      teamId,
      idempotencyKey: randomUUID(),
      bodyHash: Buffer.alloc(32),
      action: 'workflow.run',
      priced,
      priceVersion: catalogVersion,
    });
  } catch (error) {
    if (!hasCode(error, 'insufficient_credits')) throw error;
  }
}
