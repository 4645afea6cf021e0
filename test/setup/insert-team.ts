import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';

/** A shared team that nobody signed up, for tests below the API. Returns its id. */
export async function insertTeam(pool: Pool, name = 'a team'): Promise<string> {
  const id = uuidv7();
  await pool.query('insert into teams (id, name, personal) values ($1, $2, false)', [id, name]);
  return id;
}
