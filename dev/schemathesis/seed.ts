import { createBillingClient } from '../../client/billing-client.ts';
import type { Platform } from '../chaos/platform.ts';
import { signToken } from '../sign-token.ts';

/** Who sends the requests, and the ids that they contain. */
export interface Caller {
  name: 'service key' | 'token of a user';
  /** The bearer token. */
  token: string;
  /** The URL of the API that this caller uses. */
  url: string;
  /** Ids by the name of a path parameter. */
  ids: Ids;
  /** Ids that only the operations get that delete them. */
  doomed: Ids;
}

type Ids = Record<string, string[]>;

const teamsOfCaller = 8;
const doomedTeams = 60;
const tokenLifetime = '12h';

/**
 * A service key with every scope, and a user who owns many teams. Each of them has teams, members, holds, usage and more of
 * its own, so that one does not delete what the other uses.
 */
export async function seedCallers({ apiUrls, serviceKey, jwtSecret }: Platform): Promise<Caller[]> {
  const userId = 'schemathesis_user';
  const token = await signToken(jwtSecret, userId, tokenLifetime);
  const billing = createBillingClient({ baseUrl: apiUrls[0], credentials: { serviceKey } });
  const signUp = (id: string) =>
    billing.POST('/v1/users', { body: { id, email: `${id}@example.com`, name: 'Ada' } });

  const seed = async (prefix: string, ownerId: string) => {
    const users = await times(5, async (index) => {
      await signUp(`${prefix}_${index}`);
      return `${prefix}_${index}`;
    });
    const doomedUsers = await times(20, async (index) => {
      await signUp(`${prefix}_doomed_${index}`);
      return `${prefix}_doomed_${index}`;
    });
    const createTeam = async () => (await billing.POST('/v1/teams', { body: { name: 'Team', ownerId } })).id;
    const teams = await times(teamsOfCaller, createTeam);
    const holds: string[] = [];
    const invitations: string[] = [];
    for (const teamId of teams) {
      const path = { teamId };
      await billing.POST('/v1/teams/{teamId}/adjustments', {
        params: { path },
        body: { credits: '100000', reason: 'Credits for the requests of Schemathesis' },
      });
      for (const id of users.slice(0, 3)) {
        await billing.PUT('/v1/teams/{teamId}/members/{userId}', {
          params: { path: { teamId, userId: id } },
          body: { role: 'member' },
        });
      }
      for (let index = 0; index < 5; index += 1) {
        const work = { action: 'workflow.run', runId: 'run_1', stepId: `step_${index}`, apiKeyId: 'key_1' };
        const usage = { ...work, quantities: { runs: 1 }, tags: { project: 'website' } };
        await billing.POST('/v1/teams/{teamId}/usage', { params: { path }, body: usage });
        const hold = await billing.POST('/v1/teams/{teamId}/holds', {
          params: { path },
          body: { ...work, credits: '5', ttlSeconds: 7_200 },
        });
        holds.push(hold.id);
      }
      const invited = await billing.POST('/v1/teams/{teamId}/invitations', {
        params: { path },
        body: { userId: users[4] ?? '', role: 'member' },
      });
      invitations.push(invited.id);
    }
    const createEndpoint = async () =>
      (await billing.POST('/v1/webhook-endpoints', { body: { url: 'https://example.com/hooks' } })).id;
    const createKey = async () =>
      (await billing.POST('/v1/service-keys', { body: { name: 'A key', scopes: ['usage'] } })).id;
    return {
      ids: {
        teamId: teams,
        userId: users,
        memberId: users,
        holdId: holds,
        invitationId: invitations,
        runId: ['run_1'],
        apiKeyId: ['key_1'],
        endpointId: await times(3, createEndpoint),
        serviceKeyId: await times(5, createKey),
      },
      doomed: {
        teamId: await times(doomedTeams, createTeam),
        userId: doomedUsers,
        endpointId: await times(12, createEndpoint),
        serviceKeyId: await times(20, createKey),
      },
    };
  };

  await signUp(userId);
  await signUp('schemathesis_owner');
  return [
    {
      name: 'service key',
      token: serviceKey,
      url: apiUrls[0],
      ...(await seed('of_service', 'schemathesis_owner')),
    },
    { name: 'token of a user', token, url: apiUrls[1], ...(await seed('of_user', userId)) },
  ];
}

/** Calls it this many times, one after another. */
async function times<T>(count: number, call: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let index = 0; index < count; index += 1) results.push(await call(index));
  return results;
}
