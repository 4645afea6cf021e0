import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { routes } from '../../api/app.ts';
import { operationsRoutes } from '../../api/routes/health.ts';
import * as schedules from '../../workflows/schedules.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const guide = read('docs/operations.md');

const { database } = useTestDatabase({ pool: 2 });

test('every query in the operators’ guide runs, and only reads', async () => {
  const blocks = [...guide.matchAll(/```sql\n([^`]+)```/g)].map(([, sql]) => sql ?? '');
  const inline = [...guide.matchAll(/`(select [^`]+)`/g)].map(([, sql]) => sql ?? '');
  expect(blocks.length).toBeGreaterThan(8);
  const client = await database.pool.connect();
  try {
    await client.query('begin read only');
    for (const sql of [...blocks, ...inline]) await client.query(sql.replaceAll(":'team'", `'${uuidv7()}'`));
    await client.query('rollback');
  } finally {
    client.release();
  }
});

test('every route, command, schedule and parked code in the operators’ guide exists', () => {
  const known = new Set(
    [...routes, ...operationsRoutes].map(({ method, path }) => `${method.toUpperCase()} ${path}`),
  );
  const told = [...guide.matchAll(/`(GET|POST|PUT) (\/[^?`…]*)/g)].map(
    ([, method, path]) => `${method} ${path}`,
  );
  for (const route of told)
    expect([...known].some((one) => one === route || (route.endsWith('/') && one.startsWith(route)))).toBe(
      true,
    );

  const { scripts } = JSON.parse(read('package.json'));
  for (const [, script] of guide.matchAll(/npm run ([\w:-]+)/g))
    expect(Object.keys(scripts)).toContain(script);
  for (const [, file] of guide.matchAll(/node ([\w/-]+\.ts)/g))
    expect(read(file ?? '').length).toBeGreaterThan(0);

  const ids: string[] = Object.values(schedules);
  for (const [, id] of guide.matchAll(/--schedule-id ([\w-]+)/g)) expect(ids).toContain(id);

  const code = [
    'polar/resolve-team.ts',
    'activities/step.ts',
    'activities/order-steps.ts',
    'inbox/inbox.ts',
    'polar/client.ts',
    'polar/events.ts',
    'polar/resolve-product.ts',
    'polar/sync-members.ts',
    'ledger/lifecycle/apply-order.ts',
  ]
    .map(read)
    .join('\n');
  const [, list = ''] = guide.match(/^What each code means[\s\S]*?\n\n([\s\S]*?)\n\n/m) ?? [];
  const codes = [...list.matchAll(/^- `(\w+)`:/gm)].map(([, parked]) => parked);
  expect(codes.length).toBeGreaterThan(10);
  for (const parked of codes) expect(code).toContain(`'${parked}'`);
});
