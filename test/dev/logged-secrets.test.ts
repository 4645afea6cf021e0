import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findLoggedSecrets, secretsFile } from '../../dev/logged-secrets.ts';
import { runTask } from '../../dev/part.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'waveloom-logs-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

test.each([
  ['a service key', 'wl_Vb0p4VbN3nq1m0Jv0Zt3cU8m2l6rQyFh1c7eX9sKd2A'],
  ['a JWT', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.Zm9vYmFyYmF6'],
  ['a webhook secret', 'whsec_dGVzdHMtb25seS13ZWJob29r'],
  ['a token of Polar', 'polar_oat_tests'],
  ['a portal link', 'https://polar.sh/portal?customer_session_token=abc'],
  ['a session cookie', '__Host-waveloom_session=abc'],
  ['a password in a URL', 'postgresql://billing:pass@127.0.0.1/billing'],
  ['an e-mail address', 'ada.lovelace+1@example.com'],
  ['a secret of a test', 'a secret without a form'],
])('%s in a log is found', (kind, secret) => {
  writeFileSync(join(directory, secretsFile), 'a secret without a form\n');
  writeFileSync(join(directory, 'api.log'), `{"msg":"fine"}\n{"msg":"but ${secret}"}\n`);
  expect(findLoggedSecrets(directory)).toEqual({ lines: 2, found: [{ kind, file: 'api.log', line: 2 }] });
  rmSync(join(directory, 'api.log'));
});

test('the copy of a log has every level, and a secret is found only if its field is not removed', async () => {
  const script = `
    import { log } from './log.ts';
    log.trace({ email: 'ada@example.com', request: { headers: { authorization: 'Bearer wl_0123456789012345678901' } } }, 'removed');
    log.debug('ada@example.com signed up');`;
  const said = await runTask({
    name: 'a process',
    command: process.execPath,
    args: ['--input-type=module', '--eval', script],
    cwd: join(import.meta.dirname, '../..'),
    env: { LOG_COPY_DIRECTORY: directory, LOG_LEVEL: 'silent' },
  });
  expect(said).toEqual([]);
  const [file = ''] = readdirSync(directory).filter((name) => name.endsWith('.log'));
  expect(readFileSync(join(directory, file), 'utf8')).toContain('"email":"[redacted]"');
  expect(findLoggedSecrets(directory)).toEqual({
    lines: 2,
    found: [{ kind: 'an e-mail address', file, line: 2 }],
  });
});
