import { type EntityManager, raw } from '@mikro-orm/postgresql';
import { Debt } from '../../database/entities/debt.ts';
import { DebtPayment } from '../../database/entities/debt-payment.ts';
import { burnOrderSql, Grant } from '../../database/entities/grant.ts';
import { Team } from '../../database/entities/team.ts';
import { type Payment, planReturn, planSettlement } from '../rules/plan-settlement.ts';
import { giveLateLife } from './expire-credits.ts';
import { applyMoves, readSpendableGrants } from './team-grants.ts';

/**
 * Sets the debt of spent credits that a clawback could not take. If it is less than was settled, the difference goes
 * back to the grants that paid it. The caller holds the team's lock.
 *
 * @param known  the debt with this key; null if there never was one
 * @param lateLifeMs  how long credits can be spent that come back after their expiry, in milliseconds
 * @returns the debt; null if there is still none
 */
export async function setDebt(
  em: EntityManager,
  known: Debt | null,
  { teamId, key, lifetime, owed }: { teamId: string; key: string; lifetime: boolean; owed: bigint },
  { lateLifeMs, now }: { lateLifeMs: number; now: Date },
): Promise<Debt | null> {
  if ((known?.owed ?? 0n) === owed) return known;
  const debt = known ?? em.create(Debt, { key, teamId, owed: 0n, settled: 0n, lifetime, createdAt: now });
  em.persist(debt);
  if (debt.settled > owed) await giveBackSettled(em, debt, debt.settled - owed, { lateLifeMs, now });
  debt.owed = owed;
  (await em.findOneOrFail(Team, { id: teamId })).hasDebts = true; // until settling finds otherwise
  await em.flush();
  await recordDebt(em, debt, now);
  return debt;
}

/**
 * Settles the team's debts, oldest first, in burn order: `available → settled`. A cycle's debt never takes lifetime
 * credits, and expired credits pay nothing. The caller holds the team's lock.
 */
export async function settleDebts(em: EntityManager, teamId: string, now: Date): Promise<void> {
  const team = await em.findOneOrFail(Team, { id: teamId });
  if (!team.hasDebts) return;
  const debts = await readOpenDebts(em, teamId);
  const outstanding = debts.reduce((total, debt) => total + outstandingOf(debt), 0n);
  const payers = await readSpendableGrants(em, teamId, { credits: outstanding, now });
  const open = debts.map((debt) => {
    return { key: debt.key, lifetime: debt.lifetime, outstanding: outstandingOf(debt) };
  });
  for (const [index, { settled, moves }] of planSettlement(open, payers).entries()) {
    const debt = debts[index];
    if (!debt) throw new Error('a settlement must belong to a debt');
    if (settled === 0n) continue;
    await applyMoves(em, payers, moves, now);
    for (const { grantId, amount } of moves) await recordPayment(em, debt.key, grantId, amount);
    debt.settled += settled;
    await recordDebt(em, debt, now);
  }
  team.hasDebts = debts.some((debt) => outstandingOf(debt) > 0n);
  await em.flush();
}

/** The team's outstanding debts, by their key, in micro-credits. */
export async function readOwed(em: EntityManager, teamId: string): Promise<Map<string, bigint>> {
  return new Map((await readOpenDebts(em, teamId)).map((debt) => [debt.key, outstandingOf(debt)]));
}

/**
 * Reduces debts by what was taken back from the orders' own credits (`planRelease`). The caller holds the team's lock.
 */
export async function forgiveDebts(
  em: EntityManager,
  forgiven: ReadonlyMap<string, bigint>,
  now: Date,
): Promise<void> {
  for (const [key, credits] of forgiven) {
    const debt = await em.findOneOrFail(Debt, { key });
    debt.owed -= credits;
    await recordDebt(em, debt, now);
  }
  await em.flush();
}

/** The debts that are not completely settled, oldest first. */
function readOpenDebts(em: EntityManager, teamId: string): Promise<Debt[]> {
  return em.find(
    Debt,
    { teamId, [raw((alias) => `(${alias}.owed > ${alias}.settled)`)]: [] },
    { orderBy: { createdAt: 'asc', key: 'asc' } },
  );
}

function outstandingOf({ owed, settled }: Debt): bigint {
  return owed - settled;
}

async function recordPayment(
  em: EntityManager,
  key: string,
  grantId: string,
  credits: bigint,
): Promise<void> {
  const known = await em.findOne(DebtPayment, { key, grantId });
  if (known) known.credits += credits;
  else em.persist(em.create(DebtPayment, { key, grantId, credits }));
}

/** `settled → available`, in the reverse of the order in which the credits were taken. */
async function giveBackSettled(
  em: EntityManager,
  debt: Debt,
  amount: bigint,
  { lateLifeMs, now }: { lateLifeMs: number; now: Date },
): Promise<void> {
  const payments = await readLastPayments(em, debt.key, amount);
  const grants = await em.find(Grant, { id: { $in: payments.map(({ grantId }) => grantId) } });
  const moves = planReturn(debt.key, payments, amount);
  await applyMoves(em, grants, moves, now);
  const returned = new Map(moves.map((move) => [move.grantId, move.amount]));
  for (const grant of grants) {
    const credits = returned.get(grant.id);
    if (credits === undefined) continue;
    (await em.findOneOrFail(DebtPayment, { key: debt.key, grantId: grant.id })).credits -= credits;
    await giveLateLife(em, grant, lateLifeMs, now);
  }
  debt.settled -= amount;
}

/** The payments of a debt, last in burn order first, as many as `amount` needs. Others are not read. */
async function readLastPayments(em: EntityManager, key: string, amount: bigint): Promise<Payment[]> {
  await em.flush();
  const rows = await em.execute<{ grant_id: string; credits: string }[]>(
    `select grant_id, credits
       from (select p.grant_id, p.credits, g.place,
                    sum(p.credits) over (order by g.place desc) - p.credits as after
               from (select id, row_number() over (order by ${burnOrderSql('grants')}) as place
                       from grants where id in (select grant_id from debt_payments where key = ? and credits > 0)) g
               join debt_payments p on p.key = ? and p.grant_id = g.id) ordered
      where after < ?
      order by place desc`,
    [key, key, amount],
  );
  return rows.map(({ grant_id, credits }) => ({ grantId: grant_id, credits: BigInt(credits) }));
}

/** Stores the state of the debt from `at` on. */
async function recordDebt(em: EntityManager, { key, teamId, owed, settled }: Debt, at: Date): Promise<void> {
  // As SQL, because MikroORM would wait for the row's id.
  await em.execute('insert into debt_changes (key, team_id, owed, settled, at) values (?, ?, ?, ?, ?)', [
    key,
    teamId,
    owed,
    settled,
    at,
  ]);
}
