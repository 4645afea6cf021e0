import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { routes } from '../../api/app.ts';
import { loadCatalog } from '../../catalog/load-catalog.ts';
import { errors } from '../../errors.ts';
import { type Story, startStory, until } from '../scenarios/story.ts';
import { checkTypes, type HttpAnswer, startClientProgram, writeClientProgram } from './client-program.ts';
import { fillIn, type Ids, replaceIds } from './match-answer.ts';
import { type DocumentedRequest, readSections } from './read-requests.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/integrating.md'), 'utf8');
const sections = readSections(page);
const requests = sections.flatMap((section) => section.requests);
const dayMs = 86_400_000;
const run = promisify(execFile);

let story: Story;
let folder: string;
let secrets: { serviceApiKey: string; authJwtSecret: string };
beforeAll(async () => {
  story = await startStory('2040-01-31T12:00:00Z');
  secrets = { serviceApiKey: 'the-key-of-the-stack', authJwtSecret: story.jwtSecret };
  // The page's commands read the secrets of the development stack, and use a package.
  folder = await mkdtemp(join(tmpdir(), 'integrating-'));
  await mkdir(join(folder, '.data'));
  await writeFile(join(folder, '.data/secrets.json'), JSON.stringify(secrets));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  await prepareCurl();
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await story.stop();
});

test('the page has six requests of each of the four callers', () => {
  const counts = sections.flatMap(({ heading, requests: { length } }) =>
    length > 0 ? { heading, length } : [],
  );
  expect(counts).toEqual(
    ['Onboarding', 'Metering', 'Dashboard', 'Operator'].map((heading) => ({ heading, length: 6 })),
  );
});

test('with curl, every request of the page gets the answer of the page', async () => {
  const variables = await signIn('curl');
  let kept = '';
  await sendAll('curl', async ({ shell }, ids) => {
    const command = replaceIds(forPerson('curl', shell), ids);
    const printed = await runShell(kept + command, variables);
    kept += (command.match(/^\w+=\S+/gm) ?? []).map((line) => `${line}\n`).join('');
    const end = printed.lastIndexOf('\n');
    return { status: Number(printed.slice(end + 1)), body: printed.slice(0, end) };
  });
});

test('with the client, every request of the page gets the answer of the page', async () => {
  const ofPerson = JSON.parse(forPerson('client', JSON.stringify(sections)));
  const file = await writeClientProgram(ofPerson, folder);
  await checkTypes(folder);
  const program = await startClientProgram(file, await signIn('client'));
  try {
    await sendAll('client', () => program.next());
  } finally {
    await program.stop();
  }
});

test('the table of errors says what the table in errors.ts says', () => {
  const known: Record<string, { status: number; retriable: boolean }> = errors;
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\d+) \| (yes|no) \|/gm)];
  expect(rows.length).toBeGreaterThan(20);
  for (const [, code = '', status, retry] of rows)
    expect({ code, status: Number(status), retriable: retry === 'yes' }).toEqual({
      code,
      status: known[code]?.status,
      retriable: known[code]?.retriable,
    });
});

test('the table of idempotency keys has every POST, with its key and the time for which it is kept', () => {
  const { policies } = loadCatalog(join(root, 'catalog/catalog.yaml'));
  const rows = [...page.matchAll(/^\| `(POST \S+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(
    ([, route, key = '', unique = '', keptFor = '']) => ({ route, key, unique, keptFor }),
  );
  const posts = routes.filter(({ method }) => method === 'post');
  expect(rows.map(({ route }) => route).sort()).toEqual(posts.map(({ path }) => `POST ${path}`).sort());
  for (const { path, lane, needsIdempotencyKey = false } of posts) {
    const row = rows.find(({ route }) => route === `POST ${path}`);
    const isKeyed = row?.key === '`Idempotency-Key`';
    expect({ path, isKeyed }).toEqual({ path, isKeyed: needsIdempotencyKey });
    if (!isKeyed) continue;
    expect({ path, unique: row.unique }).toEqual({
      path,
      unique: lane === 'spending' ? 'team' : 'caller and path',
    });
    expect(row.keptFor).toMatch(new RegExp(`^${policies.idempotencyKeysKept / dayMs} days`));
  }
  const webhooks = rows.find(({ route }) => route === 'POST /v1/webhooks/polar');
  expect(webhooks?.keptFor).toMatch(new RegExp(`^${policies.handledEventsKept / dayMs} days`));
});

type Program = 'curl' | 'client';

/** Ids of the page. */
const [theTeam, theCheckout] = [
  '01929d7e-8c1f-7a54-b2f6-3a1c9d0e4b52',
  '0b7d6f0e-7f5c-4f7a-8a55-4d0ad9c2a002',
];
/** The pack that the dashboard sold, and the one that the operator assigned to the team. */
const bothPacks = '2000';

/** Both programs run on one stack, so each has its own users. */
function forPerson(program: Program, text: string): string {
  return text.replace(/\buser_42\b/g, `user_42_${program}`).replaceAll('@example.com', `@${program}.example`);
}

/** What else happens before a request, by its title. */
const before: Record<string, (ids: Ids) => Promise<unknown>> = {
  'Dashboard, 5. Follow the checkout': (ids) =>
    story.control(`/checkouts/${replaceIds(theCheckout, ids)}/pay`),
  'Operator, 3. List the parked events': payWithoutTeam,
};

/**
 * Pays with a link of Polar's own: without our metadata, and with a customer that we did not create. Only one of the payment's
 * webhooks is delivered, so that the list has one event.
 */
async function payWithoutTeam(): Promise<void> {
  await story.control('/faults', { target: 'webhooks', mode: 'lost', times: 100 });
  const checkout = await story.polar.checkouts.create({ products: [await story.productOf('pack_1000')] });
  await story.control(`/checkouts/${checkout.id}/pay`, { email: `${crypto.randomUUID()}@example.com` });
  await story.emulator.idle();
  const { items } = await story.polar.orders.list({ sorting: ['-created_at'], limit: 1 });
  const event = { type: 'order.paid', timestamp: story.clock.now().toISOString(), data: items[0] };
  expect(await story.deliver(event)).toMatchObject({ status: 202 });
  // Automatic retries would change the event while the page's requests are sent.
  await story.database.pool.query(`update inbox set next_signal_at = '9999-01-01' where status = 'parked'`);
  await story.control('/faults/clear');
}

async function sendAll(
  program: Program,
  send: (request: DocumentedRequest, ids: Ids) => Promise<HttpAnswer>,
): Promise<void> {
  expect(Object.keys(before).filter((title) => !requests.some((one) => one.title === title))).toEqual([]);
  const ids: Ids = new Map();
  for (const request of requests) {
    const { title, status, answer } = request;
    await before[title]?.(ids);
    await story.settle();
    const { status: actualStatus, body } = await send(request, ids);
    const actual: unknown = body === '' ? null : JSON.parse(body);
    const documented: unknown = answer === null ? null : JSON.parse(forPerson(program, answer));
    expect({ title, status: actualStatus, answer: actual }).toEqual({
      title,
      status,
      answer: fillIn(documented, actual, ids),
    });
  }
  const teamId = replaceIds(theTeam, ids);
  await until(async () => (await story.balance(teamId)).bySource.purchase === bothPacks);
}

/** The variables of the page. Its commands set them; then each key gets only the scope that the page names. */
async function signIn(program: Program): Promise<Record<string, string>> {
  const keyOf = async (scope: string) => {
    const body = { name: `${program} ${scope}`, scopes: [scope] };
    return (await story.call<{ key: string }>('POST', '/v1/service-keys', body)).key;
  };
  const PATH = [folder, dirname(process.execPath), process.env.PATH ?? ''].join(delimiter);
  const commands = sections.map(({ shell }) => forPerson(program, shell)).join('');
  const printed = await runShell(`${commands}printf '%s %s' "$USAGE_KEY" "$TOKEN"`, { PATH });
  const [usageKey, token = ''] = printed.split(' ');
  expect(usageKey).toBe(secrets.serviceApiKey);
  return {
    PATH,
    CURL_HOME: folder,
    BILLING_URL: story.apiUrl,
    ONBOARDING_KEY: await keyOf('onboarding'),
    USAGE_KEY: await keyOf('usage'),
    ADMIN_KEY: await keyOf('admin'),
    TOKEN: token,
  };
}

/** @throws Error with what the commands printed. It does not contain the keys, because those are variables */
async function runShell(commands: string, env: Record<string, string>): Promise<string> {
  return (await run('sh', ['-c', commands], { cwd: folder, env })).stdout;
}

/** curl prints the status after the body. If it is not installed, `curl.mjs` takes its place. */
async function prepareCurl(): Promise<void> {
  await writeFile(join(folder, '.curlrc'), 'silent\nshow-error\nwrite-out = "\\n%{http_code}"\n');
  await run('curl', ['--version']).catch(() =>
    copyFile(join(import.meta.dirname, 'curl.mjs'), join(folder, 'curl')),
  );
}
