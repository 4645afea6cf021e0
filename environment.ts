import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { z } from 'zod';

/** The environment of a process, parsed. It contains secrets: never log it as a whole. */
export type Environment = {
  production: boolean;
  /** Port of the API. */
  port: number;
  /** Port of `/readyz` and `/metrics`. */
  operationsPort: number;
  /** Port of the worker's `/metrics`. */
  workerOperationsPort: number;
  /** The address on which all ports listen. */
  host: string;
  /** The URL with the role of API and worker. */
  databaseUrl: string;
  /**
   * The URL with the role of the schema's owner, for migrations only. A process reads it only if it names this part.
   */
  databaseOwnerUrl: string | undefined;
  /** `const { namespace, ...connection } = temporal`: the rest are the options of a Temporal connection. */
  temporal: TemporalTarget;
  polar: {
    accessToken: string;
    /** `production`, `sandbox`, or a base URL without a trailing slash. */
    server: string;
    /** All are valid. During a rotation there is more than one. */
    webhookSecrets: string[];
  };
  /** Messages to other systems. */
  webhooks: {
    /** Keys of 32 bytes. The first encrypts the endpoints' secrets, all decrypt. Without one no endpoint can be created. */
    signingKeys: Buffer[];
    /** Addresses and CIDR ranges that endpoints may have although they are private. */
    allowPrivate: string[];
  };
  /** Addresses and CIDR ranges of our own proxies, whose `X-Forwarded-For` gives a caller's address. */
  trustedProxies: string[];
  email: {
    /** How e-mails are sent; undefined: none is. */
    smtp:
      | (SmtpServer & {
          /** The sender. */
          from: { name: string; address: string };
          /** The address that gets e-mails about the service itself; undefined: nobody does. */
          operator: string | undefined;
          /** Signs the links in e-mails: the first of `tokenSecrets`. */
          tokenSecret: string;
        })
      | undefined;
    /** All are valid for links in e-mails. During a rotation there is more than one. */
    tokenSecrets: string[];
  };
  /** Absolute path of the catalog file. */
  catalogFile: string;
  /** An initial service key with every scope. */
  serviceApiKey: string | undefined;
  auth: AuthSettings;
  /** Requests per minute of the named policies of `api/rate-limits.ts`. The others keep their defaults. */
  rateLimits: Partial<Record<RatePolicy, number>>;
  /** The URL of the API from outside, without a trailing slash. */
  publicUrl: string;
  /** The origin of the dashboard, whose pages may embed ours and sign users in; undefined: none. */
  dashboardOrigin: string | undefined;
  /** Absolute path of the development stack's data. */
  dataDir: string;
};

/** The requests that are counted: of a user, with a service key, about a team, and the 401s of an address. */
const ratePolicies = ['person', 'service-key', 'team', 'unauthenticated'] as const;
export type RatePolicy = (typeof ratePolicies)[number];

/** How users' tokens are checked: the signature, the audience and the issuer. */
export type AuthSettings = ({ jwtSecret: string } | { jwksUrl: string }) & {
  /** The token's `aud` must equal or contain this. */
  audience?: string;
  /** The token's `iss` must be this. */
  issuer?: string;
};

/** Without TLS from the first byte, STARTTLS is used. In production it is required, except on this machine. */
export interface SmtpServer {
  host: string;
  port: number;
  tls: boolean;
  requireTls: boolean;
  user: string | undefined;
  password: string | undefined;
}

export type TemporalTarget = {
  address: string;
  namespace: string;
  tls?: NonNullable<ConnectionOptions['tls']>;
  apiKey?: string;
  metadata?: NonNullable<ConnectionOptions['metadata']>;
};

type ConnectionOptions = ReturnType<typeof loadClientConnectConfig>['connectionOptions'];
type Variables = Readonly<Record<string, string | undefined>>;

/** One line per problem, with the variable's name and the expected value; never the value of a secret. */
export class EnvironmentError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'EnvironmentError';
    this.problems = problems;
  }
}

/** The variables of all parts. Every process also reads `NODE_ENV` and `LOG_LEVEL`. */
export const environmentVariables = [
  'PORT',
  'OPERATIONS_PORT',
  'WORKER_OPERATIONS_PORT',
  'HOST',
  'DATABASE_URL',
  'TEMPORAL_ADDRESS',
  'TEMPORAL_NAMESPACE',
  'TEMPORAL_CONFIG_FILE',
  'TEMPORAL_PROFILE',
  'TEMPORAL_API_KEY',
  'POLAR_ACCESS_TOKEN',
  'POLAR_SERVER',
  'POLAR_WEBHOOK_SECRET',
  'WEBHOOK_SIGNING_KEY',
  'WEBHOOK_ALLOW_PRIVATE',
  'TRUSTED_PROXIES',
  'SMTP_URL',
  'MAIL_FROM',
  'MAIL_OPERATOR',
  'MAIL_TOKEN_SECRET',
  'CATALOG_FILE',
  'SERVICE_API_KEY',
  'AUTH_JWT_SECRET',
  'AUTH_JWKS_URL',
  'AUTH_AUDIENCE',
  'AUTH_ISSUER',
  'RATE_LIMITS',
  'PUBLIC_URL',
  'DASHBOARD_ORIGIN',
  'DATA_DIR',
] as const;

/** The values of `LOG_LEVEL`, the fewest lines first. */
export const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/**
 * Reads and checks the environment, or only the named parts of it: `readEnvironment(process.env, ['databaseUrl'])`.
 *
 * Outside production, unset variables come from the running development stack (`DATA_DIR/stack.json`, which exists
 * while `npm start` runs). In production there are no embedded defaults and no generated secrets.
 *
 * @throws EnvironmentError naming every wrong or missing variable at once.
 */
export function readEnvironment(variables?: Variables): Omit<Environment, 'databaseOwnerUrl'>;
export function readEnvironment<Part extends keyof Environment>(
  variables: Variables,
  parts: readonly Part[],
): Pick<Environment, Part>;
export function readEnvironment(
  variables: Variables = process.env,
  parts?: readonly string[],
): Partial<Environment> {
  const given = withoutEmpty(variables);
  const production = given.NODE_ENV === 'production';
  const dataDir = resolve(given.DATA_DIR ?? join(import.meta.dirname, '.data'));
  const stack = production ? undefined : runningStack(dataDir);
  const reader = new VariableReader({ ...stack, ...given }, production, stack !== undefined);

  const read: { [Part in keyof Environment]: () => Environment[Part] | undefined } = {
    production: () => production,
    port: () => readPort(reader),
    operationsPort: () => readOperationsPort(reader),
    workerOperationsPort: () => reader.optional('WORKER_OPERATIONS_PORT', port) ?? 9465,
    host: () => reader.optional('HOST', ipAddress) ?? (production ? '0.0.0.0' : '127.0.0.1'),
    databaseUrl: () => reader.required('DATABASE_URL', databaseUrl),
    databaseOwnerUrl: () => reader.optional('DATABASE_OWNER_URL', databaseUrl),
    temporal: () => readTemporal(reader),
    polar: () => readPolar(reader),
    webhooks: () => readWebhooks(reader),
    trustedProxies: () => reader.optional('TRUSTED_PROXIES', addresses) ?? [],
    email: () => readEmail(reader),
    catalogFile: () => readCatalogFile(reader),
    serviceApiKey: () => reader.optional('SERVICE_API_KEY', secret(production)),
    auth: () => readAuth(reader),
    rateLimits: () => reader.optional('RATE_LIMITS', rateLimits) ?? {},
    publicUrl: () => readPublicUrl(reader),
    dashboardOrigin: () => reader.optional('DASHBOARD_ORIGIN', webOrigin(production)),
    dataDir: () => dataDir,
  };
  const environment = Object.fromEntries(
    Object.entries(read)
      .filter(([part]) => (parts ? parts.includes(part) : part !== 'databaseOwnerUrl'))
      .map(([part, readPart]) => [part, readPart()]),
  );
  reader.optional('LOG_LEVEL', logLevel); // the log itself ignores an invalid one: `log.ts`
  if (reader.problems.length > 0) throw new EnvironmentError(reader.problems);
  return environment;
}

/**
 * The variables of the running development stack, for other processes that lack them. Undefined if no stack runs on
 * this directory.
 */
export function runningStack(dataDir: string): Record<string, string> | undefined {
  try {
    const { pid, variables } = stackFile.parse(JSON.parse(readFileSync(join(dataDir, 'stack.json'), 'utf8')));
    process.kill(pid, 0);
    return variables;
  } catch {
    // No file, an invalid one, or one left behind by a killed supervisor: nothing runs here.
    return undefined;
  }
}

/** `DATA_DIR/stack.json`, mode 0600: written by `npm start` when everything is up, removed when it stops. */
export const stackFile = z.object({ pid: z.int().positive(), variables: z.record(z.string(), z.string()) });

/** Reads single variables and collects the problems, so that all of them are reported at once. */
class VariableReader {
  readonly problems: string[] = [];
  readonly variables: Variables;
  readonly production: boolean;
  private readonly stackIsRunning: boolean;
  private saidStartTheStack = false;

  constructor(variables: Variables, production: boolean, stackIsRunning: boolean) {
    this.variables = variables;
    this.production = production;
    this.stackIsRunning = stackIsRunning;
  }

  optional<T>(name: string, schema: z.ZodType<T>): T | undefined {
    const value = this.variables[name];
    if (value === undefined) return undefined;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    this.wrong(name, parsed.error.issues[0]?.message ?? 'another value');
    return undefined;
  }

  required<T>(name: string, schema: z.ZodType<T>): T | undefined {
    if (this.variables[name] === undefined) this.missing(name);
    return this.optional(name, schema);
  }

  wrong(name: string, expected: string): void {
    const problem = `${name} is wrong: expected ${expected}`;
    if (!this.problems.includes(problem)) this.problems.push(problem);
  }

  missing(name: string, alternative = ''): void {
    if (this.production || this.stackIsRunning) {
      this.problems.push(`${name} is not set${alternative}`);
    } else if (!this.saidStartTheStack) {
      this.saidStartTheStack = true;
      this.problems.push(
        `${name} is not set and no stack is running here: start the stack first with npm start`,
      );
    }
  }
}

function readPort(reader: VariableReader): number {
  return reader.optional('PORT', port) ?? 3000;
}

/** Readiness and metrics are for operators, so they are never on the public port. */
function readOperationsPort(reader: VariableReader): number {
  const chosen = reader.optional('OPERATIONS_PORT', port) ?? 9464;
  if (chosen === readPort(reader)) reader.wrong('OPERATIONS_PORT', 'a port other than PORT');
  return chosen;
}

function readTemporal(reader: VariableReader): TemporalTarget | undefined {
  const { variables } = reader;
  // In development a developer's own ~/.config/temporalio/temporal.toml is used only if requested, so that test
  // credits do not end up in a cloud namespace.
  const useFile = reader.production || 'TEMPORAL_CONFIG_FILE' in variables || 'TEMPORAL_PROFILE' in variables;
  const address = reader.optional('TEMPORAL_ADDRESS', hostAndPort);
  let config: ReturnType<typeof loadClientConnectConfig>;
  try {
    const given = Object.entries(variables).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    );
    config = loadClientConnectConfig({
      overrideEnvVars: Object.fromEntries(given),
      ...(useFile ? {} : { disableFile: true }),
    });
  } catch (error) {
    reader.wrong(
      'TEMPORAL_CONFIG_FILE',
      `a readable temporal.toml (${error instanceof Error ? error.message : error})`,
    );
    return undefined;
  }
  const { connectionOptions } = config;
  const target = address ?? connectionOptions.address;
  if (target === undefined) {
    reader.missing(
      'TEMPORAL_ADDRESS',
      ' and there is no temporal.toml (TEMPORAL_CONFIG_FILE) with an address',
    );
    return undefined;
  }
  return {
    address: target,
    namespace: config.namespace ?? 'default',
    ...(connectionOptions.tls ? { tls: connectionOptions.tls } : {}),
    ...(connectionOptions.apiKey ? { apiKey: connectionOptions.apiKey } : {}),
    ...(connectionOptions.metadata ? { metadata: connectionOptions.metadata } : {}),
  };
}

function readPolar(reader: VariableReader): Environment['polar'] | undefined {
  const accessToken = reader.required('POLAR_ACCESS_TOKEN', accessTokenOf(reader.production));
  const webhookSecrets = reader.required('POLAR_WEBHOOK_SECRET', webhookSecretsOf(reader.production));
  const server = reader.optional('POLAR_SERVER', polarServer(reader.production)) ?? 'production';
  return accessToken && webhookSecrets ? { accessToken, server, webhookSecrets } : undefined;
}

function readWebhooks(reader: VariableReader): Environment['webhooks'] {
  return {
    signingKeys: reader.optional('WEBHOOK_SIGNING_KEY', signingKeys) ?? [],
    allowPrivate: reader.optional('WEBHOOK_ALLOW_PRIVATE', addresses) ?? [],
  };
}

function readEmail(reader: VariableReader): Environment['email'] {
  const server = reader.optional('SMTP_URL', smtpServer(reader.production));
  const read = server ? reader.required.bind(reader) : reader.optional.bind(reader);
  const from = read('MAIL_FROM', mailbox);
  const tokenSecrets = read('MAIL_TOKEN_SECRET', secretList(reader.production)) ?? [];
  const operator = reader.optional('MAIL_OPERATOR', mailbox)?.address;
  const [tokenSecret] = tokenSecrets;
  const smtp = server && from && tokenSecret ? { ...server, from, operator, tokenSecret } : undefined;
  return { smtp, tokenSecrets };
}

function readCatalogFile(reader: VariableReader): string {
  const path = resolve(reader.variables.CATALOG_FILE ?? join(import.meta.dirname, 'catalog', 'catalog.yaml'));
  if (!existsSync(path)) reader.wrong('CATALOG_FILE', `an existing file, and ${path} does not exist`);
  return path;
}

function readAuth(reader: VariableReader): Environment['auth'] | undefined {
  const { AUTH_JWT_SECRET, AUTH_JWKS_URL } = reader.variables;
  if (AUTH_JWKS_URL !== undefined && AUTH_JWT_SECRET !== undefined) {
    reader.wrong('AUTH_JWT_SECRET', 'only one of AUTH_JWT_SECRET and AUTH_JWKS_URL');
    return undefined;
  }
  // A provider's key set signs tokens for all of its applications, so in production a token must name this API.
  const demanded = reader.production && AUTH_JWKS_URL !== undefined;
  const readClaim = (name: string) =>
    demanded ? reader.required(name, tokenClaim) : reader.optional(name, tokenClaim);
  const audience = readClaim('AUTH_AUDIENCE');
  const issuer = readClaim('AUTH_ISSUER');
  const claims = { ...(audience ? { audience } : {}), ...(issuer ? { issuer } : {}) };
  if (AUTH_JWKS_URL !== undefined) {
    const jwksUrl = reader.optional('AUTH_JWKS_URL', webUrl(reader.production));
    return jwksUrl === undefined ? undefined : { jwksUrl, ...claims };
  }
  if (AUTH_JWT_SECRET === undefined) reader.missing('AUTH_JWT_SECRET', ' and neither is AUTH_JWKS_URL');
  const jwtSecret = reader.optional('AUTH_JWT_SECRET', secret(reader.production));
  return jwtSecret === undefined ? undefined : { jwtSecret, ...claims };
}

function readPublicUrl(reader: VariableReader): string | undefined {
  if (reader.production) return reader.required('PUBLIC_URL', webUrl(true));
  return reader.optional('PUBLIC_URL', webUrl(false)) ?? `http://localhost:${readPort(reader)}`;
}

const rateLimit = new RegExp(`^(?:${ratePolicies.join('|')})=[1-9]\\d{0,8}$`);
const rateLimits = z
  .string()
  .refine((text) => text.split(',').every((part) => rateLimit.test(part)), {
    error: 'requests per minute, such as person=1200,service-key=1200000,team=6000,unauthenticated=300',
  })
  .transform((text) => Object.fromEntries(text.split(',').map((part) => part.split('='))))
  .pipe(z.partialRecord(z.enum(ratePolicies), z.coerce.number<string>()));

/** The newest first. */
const signingKeys = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .refine((keys) => keys.every((key) => /^[A-Za-z0-9+/]{43}=$/.test(key)), {
    error:
      '32 random bytes in base64, as `openssl rand -base64 32` prints (comma-separated, the newest first, while one is being rotated)',
  })
  .transform((keys) => keys.map((key) => Buffer.from(key, 'base64')));

/** `smtp://` or `smtps://`, with the characters of user and password percent-encoded. */
function smtpServer(production: boolean) {
  const error = 'smtp://user:password@host:port or smtps://user:password@host:port';
  return z.string().transform((text, context): SmtpServer => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const isPlain = url !== undefined && url.search === '' && url.hash === '' && /^\/?$/.test(url.pathname);
    const credentials = url && [url.username, url.password].map(decode);
    if (!isPlain || !/^smtps?:$/.test(url.protocol) || url.hostname === '' || !credentials) {
      context.addIssue({ code: 'custom', message: error });
      return z.NEVER;
    }
    const tls = url.protocol === 'smtps:';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);
    const [user, password] = credentials;
    return {
      host,
      port: url.port === '' ? (tls ? 465 : 587) : Number(url.port),
      tls,
      requireTls: !tls && production && !isLocal,
      user: user || undefined,
      password: password || undefined,
    };
  });
}

/** Text with an invalid escape is used as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `billing@example.com` or `Waveloom Billing <billing@example.com>`. */
const mailbox = z
  .string()
  .regex(/^[^<>\r\n]*<[^<>\s]+>$|^[^<>\s]+$/, { error: 'name@host, or Name <name@host>' })
  .transform((text) => {
    const [, name = '', address = ''] = /^(.*)<(.*)>$/.exec(text) ?? [undefined, '', text];
    return { name: name.trim().replace(/^"(.*)"$/, '$1'), address };
  })
  .refine(({ address }) => z.email().safeParse(address).success || /^[^@]+@localhost$/.test(address), {
    error: 'name@host, or Name <name@host>',
  });

/** The newest first. */
function secretList(production: boolean) {
  return z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(secret(production)));
}

const addresses = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .pipe(
    z.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]), {
      error: 'IP addresses or CIDR ranges, comma-separated',
    }),
  );

/** Compared exactly, so a space or a quote around it would make every token invalid. */
const tokenClaim = z.string().regex(/^[^\s"'](.*[^\s"'])?$/, {
  error: "the claim exactly as the identity provider's tokens have it, without spaces or quotes around",
});

const logLevel = z.enum(logLevels, { error: `one of ${logLevels.join(', ')}` });

const port = z
  .string()
  .refine((text) => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535, {
    error: 'a port between 1 and 65535',
  })
  .transform(Number);

const ipAddress = z.union([z.ipv4(), z.ipv6()], {
  error: 'an IP address to listen on: 127.0.0.1 for this machine only, 0.0.0.0 for every interface',
});

const hostAndPort = z.string().regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, { error: 'host:port' });

const databaseUrl = z.string().refine(
  (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    return url !== undefined && /^postgres(ql)?:$/.test(url.protocol) && url.pathname.length > 1;
  },
  { error: 'postgresql://user:password@host:port/database' },
);

/** A URL without a trailing slash. In production it must use TLS, except on this machine. */
function webUrl(production: boolean) {
  return z
    .string()
    .refine((text) => isWebUrl(text, production), {
      error: production ? 'an https:// URL (http:// only for localhost)' : 'an http:// or https:// URL',
    })
    .transform((text) => text.replace(/\/+$/, ''));
}

/** Compared with the browser's `Origin` and written into a policy: scheme, host and port only. */
function webOrigin(production: boolean) {
  return z.string().refine((text) => isWebUrl(text, production) && new URL(text).origin === text, {
    error: `an origin without a path or a final slash, such as https://app.example.com${production ? '' : ' or http://localhost:4000'}`,
  });
}

function isWebUrl(text: string, production: boolean): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if (url.protocol === 'https:') return true;
  return (
    url.protocol === 'http:' && (!production || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname))
  );
}

function polarServer(production: boolean) {
  return z.union([z.enum(['production', 'sandbox']), webUrl(production)], {
    error: `production, sandbox or ${production ? 'an https:// URL' : 'a base URL'}`,
  });
}

/** In production a generated secret, not one that somebody typed. Elsewhere only long enough to be intentional. */
function secret(production: boolean) {
  return z
    .string()
    .refine((text) => text.trim() === text && text.length >= 16, {
      error: 'at least 16 characters, no spaces around',
    })
    .refine((text) => !production || isStrong(text), {
      error: 'a random secret of at least 32 characters, such as `openssl rand -base64 32` prints',
    });
}

function isStrong(text: string): boolean {
  return (
    text.length >= 32 && new Set(text).size >= 10 && !/change.?me|placeholder|example|password/i.test(text)
  );
}

function accessTokenOf(production: boolean) {
  return z.string().regex(production ? /^\S{16,}$/ : /^\S+$/, {
    error: "an organisation access token from Polar's settings",
  });
}

/**
 * Secrets as Polar shows them, comma-separated during a rotation: `whsec_` and base64, or an older secret whose bytes
 * are the key. If a secret is pasted with a signature's `v1,`, quotes or a double prefix, every webhook would be
 * refused, or the key could be guessed. So such a secret is reported.
 */
function webhookSecretsOf(production: boolean) {
  return z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .superRefine((secrets, context) => {
      const problem = secrets.map((one) => explainWebhookSecret(one, production)).find(Boolean);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    });
}

/** Standard Webhooks requires keys of 24 to 64 bytes. @see https://www.standardwebhooks.com */
const leastKeyBytes = 24;

/** The expected format of an invalid secret; undefined if it is valid. Never contains the secret. */
function explainWebhookSecret(secret: string, production: boolean): string | undefined {
  const expected = "the webhook endpoint's secret from Polar (comma-separated while one is being rotated)";
  if (/^v\d+\w?$/i.test(secret)) return `${expected}: without the prefix v1, of signatures`;
  if (/["'`]/.test(secret)) return `${expected}: without quotes`;
  if (/whsec_/i.test(secret.slice(1))) return `${expected}: with whsec_ once, at the beginning`;
  const encoded = /^whsec_(.*)$/is.exec(secret)?.[1];
  if (encoded === undefined) {
    return /^[\x21-\x7e]{16,}$/.test(secret) ? undefined : `${expected}: at least 16 characters, no spaces`;
  }
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(encoded) && encoded.replace(/=+$/, '').length % 4 !== 1;
  if (!secret.startsWith('whsec_') || !isBase64) return `${expected}: whsec_ followed by base64`;
  if (!production || Buffer.from(encoded, 'base64').length >= leastKeyBytes) return undefined;
  return `${expected}: whsec_ followed by base64 of at least ${leastKeyBytes} bytes, complete`;
}

function withoutEmpty(variables: Variables): Record<string, string> {
  const entries = Object.entries(variables).flatMap(([name, value]) =>
    value === undefined || value.trim() === '' ? [] : [[name, value] as const],
  );
  return Object.fromEntries(entries);
}
