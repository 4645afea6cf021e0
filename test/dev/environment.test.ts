import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EnvironmentError, readEnvironment } from '../../environment.ts';

const strong = 'k3J9-xQ2m_Vb7Lr0Wz5Tn8Yc1Pd4Hf6Gs';
const webhookSecret = 'whsec_0123456789abcdef0123456789abcdef';
let directory: string;
/** The variables of a person's production setup. */
let production: Record<string, string>;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'waveloom-environment-'));
  production = {
    NODE_ENV: 'production',
    DATABASE_URL: 'postgresql://billing:pw@db.example.com:5432/billing',
    TEMPORAL_ADDRESS: 'temporal.example.com:7233',
    TEMPORAL_CONFIG_FILE: join(directory, 'none.toml'),
    POLAR_ACCESS_TOKEN: 'polar_oat_0123456789abcdef',
    POLAR_WEBHOOK_SECRET: webhookSecret,
    AUTH_JWT_SECRET: strong,
    PUBLIC_URL: 'https://billing.example.com/',
    CATALOG_FILE: join(directory, 'catalog.yaml'),
  };
  writeFileSync(production.CATALOG_FILE ?? '', '');
});
afterAll(() => rmSync(directory, { recursive: true }));

function problemsOf(variables: Record<string, string | undefined>): readonly string[] {
  try {
    readEnvironment(variables);
    return [];
  } catch (error) {
    if (error instanceof EnvironmentError) return error.problems;
    throw error;
  }
}

describe('in production', () => {
  test('every variable that is set is read', () => {
    const { polar, auth, publicUrl, port, temporal, serviceApiKey } = readEnvironment(production);
    expect(polar).toEqual({
      accessToken: 'polar_oat_0123456789abcdef',
      server: 'production',
      webhookSecrets: [webhookSecret],
    });
    expect(auth).toEqual({ jwtSecret: strong });
    expect(publicUrl).toBe('https://billing.example.com');
    expect(port).toBe(3000);
    expect(temporal).toEqual({ address: 'temporal.example.com:7233', namespace: 'default' });
    expect(serviceApiKey).toBeUndefined();
  });

  test('RATE_LIMITS changes only the limits that it names', () => {
    const { rateLimits } = readEnvironment({ ...production, RATE_LIMITS: 'person=5,team=70' });
    expect(rateLimits).toEqual({ person: 5, team: 70 });
    expect(readEnvironment(production).rateLimits).toEqual({});
  });

  test.each([
    'DATABASE_URL',
    'TEMPORAL_ADDRESS',
    'POLAR_ACCESS_TOKEN',
    'POLAR_WEBHOOK_SECRET',
    'AUTH_JWT_SECRET',
    'PUBLIC_URL',
  ])('%s has no default', (name) => {
    expect(problemsOf({ ...production, [name]: undefined })).toEqual([
      expect.stringContaining(`${name} is not set`),
    ]);
    expect(problemsOf({ ...production, [name]: ' ' })).toHaveLength(1);
  });

  test.each([
    ['OPERATIONS_PORT', '9464x'],
    ['OPERATIONS_PORT', '3000'],
    ['HOST', 'everywhere'],
    ['PORT', '80a'],
    ['RATE_LIMITS', 'everybody=5'],
    ['RATE_LIMITS', 'person=0'],
    ['RATE_LIMITS', 'person=5;team=5'],
    ['PORT', '0'],
    ['PORT', '65536'],
    ['PORT', '3000.5'],
    ['DATABASE_URL', 'mysql://localhost/x'],
    ['DATABASE_URL', 'postgresql://localhost'],
    ['TEMPORAL_ADDRESS', 'http://temporal:7233'],
    ['TEMPORAL_ADDRESS', 'temporal'],
    ['POLAR_ACCESS_TOKEN', 'short'],
    ['POLAR_SERVER', 'staging'],
    ['POLAR_SERVER', 'http://polar.example.com'],
    ['POLAR_WEBHOOK_SECRET', 'whsec_0123456789abcdef0123456789abcdef,'],
    ['POLAR_WEBHOOK_SECRET', 'tooshort'],
    ['POLAR_WEBHOOK_SECRET', `v1,${webhookSecret}`],
    ['POLAR_WEBHOOK_SECRET', `"${webhookSecret}"`],
    ['POLAR_WEBHOOK_SECRET', `'${webhookSecret}'`],
    ['POLAR_WEBHOOK_SECRET', `whsec_${webhookSecret}`],
    ['POLAR_WEBHOOK_SECRET', `POLAR_WEBHOOK_SECRET=${webhookSecret}`],
    ['POLAR_WEBHOOK_SECRET', webhookSecret.toUpperCase()],
    ['POLAR_WEBHOOK_SECRET', 'whsec_dG9vLXNob3J0'],
    ['POLAR_WEBHOOK_SECRET', `${webhookSecret} ${webhookSecret}`],
    ['POLAR_WEBHOOK_SECRET', 'an older secret with spaces'],
    ['SMTP_URL', 'https://mail.example.com'],
    ['SMTP_URL', 'smtps://user:password@mail.example.com/?tls.rejectUnauthorized=false'],
    ['SMTP_URL', 'mail.example.com:587'],
    ['MAIL_FROM', 'Waveloom Billing'],
    ['MAIL_FROM', 'a@example.com, b@example.com'],
    ['MAIL_OPERATOR', 'operator'],
    ['MAIL_TOKEN_SECRET', `${strong},change-me-change-me-change-me-change-me`],
    ['WEBHOOK_SIGNING_KEY', 'c2hvcnQ='],
    ['WEBHOOK_SIGNING_KEY', `${Buffer.alloc(32, 1).toString('base64')},c2hvcnQ=`],
    ['CATALOG_FILE', '/no/such/catalog.yaml'],
    ['SERVICE_API_KEY', 'weak'],
    ['AUTH_JWT_SECRET', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'],
    ['AUTH_JWT_SECRET', 'change-me-change-me-change-me-change-me'],
    ['AUTH_JWKS_URL', 'https://login.example.com/jwks'], // beside AUTH_JWT_SECRET
    ['PUBLIC_URL', 'http://billing.example.com'],
    ['PUBLIC_URL', 'billing.example.com'],
    ['LOG_LEVEL', 'loud'],
  ])('%s=%s is refused, by name, without repeating a secret', (name, value) => {
    const problems = problemsOf({ ...production, [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^(\w+) is wrong: expected /);
    if (name !== 'AUTH_JWKS_URL') expect(problems[0]).toContain(name);
    if (/SECRET|TOKEN|KEY|SMTP/.test(name)) expect(problems[0]).not.toContain(value);
  });

  test('all wrong values are named at once', () => {
    const problems = problemsOf({ ...production, PORT: 'x', LOG_LEVEL: 'y', DATABASE_URL: undefined });
    expect(problems.map((line) => line.split(' ')[0])).toEqual(['PORT', 'DATABASE_URL', 'LOG_LEVEL']);
  });

  test('a running development stack sets no variable', () => {
    const dataDir = stackOf({ DATABASE_URL: 'postgresql://dev@127.0.0.1/dev' });
    const problems = problemsOf({ ...production, DATABASE_URL: undefined, DATA_DIR: dataDir });
    expect(problems).toEqual(['DATABASE_URL is not set']);
  });

  test('a key set replaces the JWT secret, and requires the audience and issuer of its tokens', () => {
    const jwksUrl = 'https://login.example.com/jwks';
    const given = { ...production, AUTH_JWT_SECRET: undefined, AUTH_JWKS_URL: jwksUrl };
    const claims = { AUTH_AUDIENCE: 'billing', AUTH_ISSUER: 'https://login.example.com/' };
    const { auth } = readEnvironment({ ...given, ...claims });
    expect(auth).toEqual({ jwksUrl, audience: 'billing', issuer: 'https://login.example.com/' });
    expect(problemsOf(given)).toEqual(['AUTH_AUDIENCE is not set', 'AUTH_ISSUER is not set']);
    expect(problemsOf({ ...given, ...claims, AUTH_AUDIENCE: '"billing"' })).toEqual([
      expect.stringMatching(/^AUTH_AUDIENCE is wrong: expected /),
    ]);
  });

  test('e-mail is off without SMTP_URL, and needs a sender and a secret with it', () => {
    expect(readEnvironment(production).email).toEqual({ smtp: undefined, tokenSecrets: [] });
    const given = { ...production, SMTP_URL: 'smtp://billing%40example.com:p%2Fw@mail.example.com' };
    expect(problemsOf(given)).toEqual(['MAIL_FROM is not set', 'MAIL_TOKEN_SECRET is not set']);
    const newer = [...strong].reverse().join('');
    const { smtp, tokenSecrets } = readEnvironment({
      ...given,
      MAIL_FROM: 'Waveloom Billing <billing@example.com>',
      MAIL_TOKEN_SECRET: `${newer},${strong}`,
    }).email;
    expect(tokenSecrets).toEqual([newer, strong]);
    expect(smtp).toEqual({
      host: 'mail.example.com',
      port: 587,
      tls: false,
      requireTls: true,
      user: 'billing@example.com',
      password: 'p/w',
      from: { name: 'Waveloom Billing', address: 'billing@example.com' },
      operator: undefined,
      tokenSecret: newer,
    });
  });

  test('WEBHOOK_SIGNING_KEY may be several keys, the newest first', () => {
    const keys = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    const WEBHOOK_SIGNING_KEY = keys.map((key) => key.toString('base64')).join(', ');
    expect(readEnvironment({ ...production, WEBHOOK_SIGNING_KEY }).webhooks.signingKeys).toEqual(keys);
    expect(readEnvironment(production).webhooks.signingKeys).toEqual([]);
  });

  test('a temporal.toml replaces TEMPORAL_ADDRESS, with its namespace and key', () => {
    const file = join(directory, 'temporal.toml');
    writeFileSync(
      file,
      '[profile.default]\naddress = "ns.acct.tmprl.cloud:7233"\nnamespace = "ns.acct"\napi_key = "secret-key"\n',
    );
    const { temporal } = readEnvironment(
      { ...production, TEMPORAL_ADDRESS: undefined, TEMPORAL_CONFIG_FILE: file },
      ['temporal'],
    );
    expect(temporal).toEqual({
      address: 'ns.acct.tmprl.cloud:7233',
      namespace: 'ns.acct',
      apiKey: 'secret-key',
      tls: true,
    });
  });

  test('while a webhook secret is rotated, both are read', () => {
    const { polar } = readEnvironment(
      { ...production, POLAR_WEBHOOK_SECRET: `${webhookSecret}, whsec_fedcba9876543210fedcba9876543210` },
      ['polar'],
    );
    expect(polar.webhookSecrets).toEqual([webhookSecret, 'whsec_fedcba9876543210fedcba9876543210']);
  });
});

test.each([
  ['v1, before it', (secret: string) => `v1,${secret}`],
  ['quotes', (secret: string) => `"${secret}"`],
  ['the prefix twice', (secret: string) => `whsec_${secret}`],
])('a webhook secret that was pasted with %s is named in development too', (_, paste) => {
  expect(problemsOf({ ...production, NODE_ENV: '', POLAR_WEBHOOK_SECRET: paste(webhookSecret) })).toEqual([
    expect.stringMatching(/^POLAR_WEBHOOK_SECRET is wrong: expected /),
  ]);
});

test('a line end after a webhook secret, and an older secret beside it, are read', () => {
  const given = { ...production, POLAR_WEBHOOK_SECRET: `polar_whs_0ld5ecret, ${webhookSecret}\n` };
  expect(readEnvironment(given, ['polar']).polar.webhookSecrets).toEqual([
    'polar_whs_0ld5ecret',
    webhookSecret,
  ]);
});

test('the API listens on every interface in production, and elsewhere only on this machine', () => {
  const listens = (variables: Record<string, string>) =>
    readEnvironment(variables, ['host', 'port', 'operationsPort']);
  expect(listens(production)).toEqual({ host: '0.0.0.0', port: 3000, operationsPort: 9464 });
  expect(listens({ ...production, HOST: '127.0.0.1', OPERATIONS_PORT: '9000' })).toEqual({
    host: '127.0.0.1',
    port: 3000,
    operationsPort: 9000,
  });
  expect(listens({ ...production, NODE_ENV: '' }).host).toBe('127.0.0.1');
});

describe('in development', () => {
  test('unset variables come from the running stack', () => {
    const dataDir = stackOf({ DATABASE_URL: 'postgresql://dev@127.0.0.1/dev', PORT: '4000' });
    const read = readEnvironment({ DATA_DIR: dataDir }, ['databaseUrl', 'port', 'publicUrl']);
    expect(read).toEqual({
      databaseUrl: 'postgresql://dev@127.0.0.1/dev',
      port: 4000,
      publicUrl: 'http://localhost:4000',
    });
  });

  test('a set variable overrides the running stack', () => {
    const dataDir = stackOf({ DATABASE_URL: 'postgresql://dev@127.0.0.1/dev' });
    const { databaseUrl } = readEnvironment({ DATA_DIR: dataDir, DATABASE_URL: 'postgresql://other/mine' }, [
      'databaseUrl',
    ]);
    expect(databaseUrl).toBe('postgresql://other/mine');
  });

  test('without a running stack one line says to start it', () => {
    expect(
      problemsOf({ DATA_DIR: join(directory, 'nowhere'), CATALOG_FILE: production.CATALOG_FILE }),
    ).toEqual([expect.stringContaining('npm start')]);
  });

  test('the file of a stack that was killed counts as no stack', () => {
    const dataDir = stackOf({ DATABASE_URL: 'postgresql://dev@127.0.0.1/dev' }, 2 ** 22 + 1);
    expect(() => readEnvironment({ DATA_DIR: dataDir }, ['databaseUrl'])).toThrow('npm start');
  });

  test('a process that needs one part requires no other', () => {
    expect(readEnvironment({ DATABASE_URL: 'postgres://u:p@h/d' }, ['databaseUrl'])).toEqual({
      databaseUrl: 'postgres://u:p@h/d',
    });
  });
});

function stackOf(variables: Record<string, string>, pid = process.pid): string {
  const dataDir = mkdtempSync(join(directory, 'stack-'));
  writeFileSync(join(dataDir, 'stack.json'), JSON.stringify({ pid, variables }));
  return dataDir;
}
