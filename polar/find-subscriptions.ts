import type { Polar } from '@polar-sh/sdk/2026-10';
import { z } from 'zod';
import type { Database } from '../database/connection.ts';
import { Subscription } from '../database/entities/subscription.ts';
import { Team } from '../database/entities/team.ts';
import { hasCode } from '../domain-error.ts';
import { callPolar, readAll } from './client.ts';
import { fetchSubscription, type PolarSubscription, readAnswer, readSubscription } from './events.ts';
import { listsOfTeam } from './lists-of-team.ts';

/**
 * Every subscription of the team as Polar has it now, for every customer it belongs to: those in Polar's lists of the
 * team (`listsOfTeam`), and those in our tables.
 *
 * A subscription whose metadata names another living team belongs to that team.
 *
 * @param knownIds  further subscriptions that are known to belong to the team
 * @throws DomainError as `callPolar`
 */
export async function findTeamSubscriptions(
  polar: Polar,
  database: Database,
  teamId: string,
  knownIds: readonly string[] = [],
): Promise<PolarSubscription[]> {
  const em = database.fork();
  const found = new Map<string, PolarSubscription>();
  for (const filter of await listsOfTeam(database, teamId)) {
    const listed = await callPolar('read', () =>
      readAll(polar.subscriptions.iterList({ ...filter, limit: 100 })),
    );
    for (const answer of listed) {
      const subscription = readAnswer(readSubscription, answer);
      found.set(subscription.id, subscription);
    }
  }
  const mirrored = await em.find(Subscription, { teamId });
  for (const id of [...knownIds, ...mirrored.map((row) => row.id)]) {
    const subscription = found.has(id) ? null : await fetchIfKnown(polar, id);
    if (subscription) found.set(id, subscription);
  }
  const others = await livingTeamsNamed(database, teamId, [...found.values()]);
  return [...found.values()].filter(({ teamRef }) => {
    const named = namedTeam(teamRef);
    return named === null || !others.has(named);
  });
}

async function fetchIfKnown(polar: Polar, id: string): Promise<PolarSubscription | null> {
  try {
    return await fetchSubscription(polar, id);
  } catch (error) {
    if (hasCode(error, 'polar_not_found')) return null;
    throw error;
  }
}

async function livingTeamsNamed(
  database: Database,
  teamId: string,
  subscriptions: readonly PolarSubscription[],
): Promise<Set<string>> {
  const names = subscriptions
    .map(({ teamRef }) => namedTeam(teamRef))
    .filter((name) => name !== null && name !== teamId && z.guid().safeParse(name).success);
  if (names.length === 0) return new Set();
  const teams = await database.fork().find(Team, { id: { $in: names }, deletedAt: null });
  return new Set(teams.map(({ id }) => id));
}

/** The team that the metadata names, if any. UUIDs are equal in upper and lower case. */
function namedTeam({ metadataTeamId }: PolarSubscription['teamRef']): string | null {
  return metadataTeamId === null ? null : metadataTeamId.toLowerCase();
}
