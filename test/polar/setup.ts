import { randomUUID } from 'node:crypto';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { publishCatalog } from '../../catalog/versions.ts';
import { connectDatabase, type Database } from '../../database/connection.ts';
import { Member, type Role } from '../../database/entities/member.ts';
import { Team } from '../../database/entities/team.ts';
import { User } from '../../database/entities/user.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { rememberSubscription } from '../../ledger/lifecycle/apply-subscription.ts';
import { createPolarClient } from '../../polar/client.ts';
import { fetchSubscription, type PolarSubscription } from '../../polar/events.ts';
import { type PolarEmulator, startPolarEmulator } from '../../polar-emulator/polar-emulator.ts';
import { control } from '../setup/control.ts';
import { createTestDatabase } from '../setup/database.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';

export interface PolarScene {
  database: Database;
  emulator: PolarEmulator;
  polar: Polar;
  /** An action of payers, banks or Polar's staff: `POST /emulator{path}`. */
  act(path: string, body?: object): Promise<unknown>;
  end(): Promise<void>;
}

/** An empty database with the default catalog, and an empty Polar. */
export async function startScene(): Promise<PolarScene> {
  const test = await createTestDatabase();
  const database = await connectDatabase(test.url, { pool: 5 });
  await publishCatalog(database, defaultCatalog);
  const emulator = await startPolarEmulator({ accessToken: 'polar_oat_test', loopbackWebhooks: true });
  const polar = createPolarClient({ accessToken: 'polar_oat_test', server: emulator.url, timeoutSeconds: 2 });
  return {
    database,
    emulator,
    polar,
    act: (path, body) => control(emulator.url, path, body),
    async end() {
      await emulator.stop();
      await database.close();
      await test.drop();
    },
  };
}

/** A team with these members: `{alice: 'owner'}`. */
export async function makeTeam(
  database: Database,
  people: Record<string, Role> = { [`u_${randomUUID()}`]: 'owner' },
): Promise<string> {
  const id = randomUUID();
  await database.transaction(async (em) => {
    await em.insert(Team, { id, name: 'Weavers', personal: false, createdAt: new Date() });
    for (const [index, [userId, role]] of Object.entries(people).entries()) {
      if (!(await em.findOne(User, { id: userId }))) {
        const personalTeamId = randomUUID();
        await em.insert(Team, { id: personalTeamId, name: userId, personal: true, createdAt: new Date() });
        await em.insert(User, {
          id: userId,
          email: `${userId}@example.com`,
          name: userId,
          personalTeamId,
          createdAt: new Date(),
        });
      }
      await em.insert(Member, { teamId: id, userId, role, createdAt: new Date(Date.now() + index) });
    }
  });
  return id;
}

/** Stores a subscription's current state at Polar, as the team's workflow does. */
export async function mirror(
  { polar, database }: Pick<PolarScene, 'polar' | 'database'>,
  id: string,
  teamId: string,
): Promise<PolarSubscription> {
  const facts = await fetchSubscription(polar, id);
  const state = { ...facts, teamId, plan: facts.productCatalogKey ?? '' };
  await database.transaction(async (em) => {
    const { now } = await lockLivingTeam(em, teamId);
    await rememberSubscription(em, state, { fetched: true }, now);
  });
  return facts;
}
