import { beforeAll, expect, test } from '@jest/globals';
import { publishCatalog, readCatalog } from '../../catalog/versions.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { grantTrialCredits } from '../../ledger/lifecycle/grant-trial-credits.ts';
import { createTeam } from '../../teams/create-team.ts';
import { setMemberRole } from '../../teams/members.ts';
import { signUp } from '../../teams/sign-up.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const { database } = useTestDatabase({ pool: 10 });
beforeAll(async () => {
  await publishCatalog(database, defaultCatalog);
});

const actor = { kind: 'service', keyId: 'test' } as const;
const person = (id: string) => signUp(database, { id, email: `${id}@example.com`, name: id }, actor);
const make = (ownerId: string) =>
  database.transaction((em) => createTeam(em, { name: 'Team', ownerId, actor }));
const grant = (teamId: string) =>
  database.transaction(async (em) => {
    const { now } = await lockLivingTeam(em, teamId);
    return grantTrialCredits(em, teamId, await readCatalog(em), now);
  });
const claims = async (ownerId: string) =>
  (
    await database.pool.query<{ ordinal: number }>(
      'select ordinal from trial_claims where owner_id = $1 order by ordinal',
      [ownerId],
    )
  ).rows.map(({ ordinal }) => ordinal);

/** Gives the team to another owner before its workflow has granted anything. */
async function handOver(teamId: string, from: string, to: string): Promise<void> {
  const actor = { kind: 'service', keyId: 'environment' } as const;
  await database.transaction((em) => setMemberRole(em, { teamId, userId: to, role: 'owner', actor }));
  await database.transaction((em) => setMemberRole(em, { teamId, userId: from, role: 'admin', actor }));
}

test('a team that is handed over at once still uses a trial of the user who created it', async () => {
  await person('mallory');
  await person('victim');
  const outcomes: (string | null)[] = [];
  for (let made = 0; made < 5; made += 1) {
    const { id } = await make('mallory');
    await handOver(id, 'mallory', 'victim');
    outcomes.push(await grant(id));
  }
  expect(outcomes.map((outcome) => outcome?.startsWith('Granted'))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
  expect(await claims('mallory')).toEqual([1, 2, 3]);
  expect(await claims('victim')).toEqual([1]);
});

test('ten teams that one user creates at the same time claim no more trials than allowed', async () => {
  await person('ada');
  const teams = await Promise.all(Array.from({ length: 10 }, () => make('ada')));
  const outcomes = await Promise.all(teams.map(({ id }) => grant(id)));
  expect(outcomes.filter((outcome) => outcome?.startsWith('Granted'))).toHaveLength(2);
  expect(await claims('ada')).toEqual([1, 2, 3]);
});

test('a claimed trial is granted once, however often the workflow starts', async () => {
  const { team } = await person('grace');
  const outcomes = [await grant(team.id), await grant(team.id)];
  expect(outcomes).toEqual(['Granted 500 trial credits', null]);
});
