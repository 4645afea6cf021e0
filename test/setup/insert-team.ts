import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import type { Buyer } from '../polar/payloads.ts';

/** A shared team that nobody signed up, for tests below the API. Returns its id. */
export async function insertTeam(pool: Pool, name = 'a team'): Promise<string> {
  const id = uuidv7();
  await pool.query('insert into teams (id, name, personal) values ($1, $2, false)', [id, name]);
  return id;
}

/** The same with a customer at Polar. */
export async function insertBuyer(pool: Pool): Promise<Buyer> {
  const teamId = await insertTeam(pool);
  const customerId = randomUUID();
  await pool.query('update teams set polar_customer_id = $2 where id = $1', [teamId, customerId]);
  return { teamId, customerId };
}
