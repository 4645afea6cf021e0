import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { z } from 'zod';
import { parseSignedDecimal } from '../../catalog/credits.ts';
import { type BillingClient, createBillingClient } from '../../client/billing-client.ts';
import type { Credentials } from '../../client/retrying-fetch.ts';
import type { Environment } from '../../environment.ts';
import { createPolarClient } from '../../polar/client.ts';
import { signToken } from '../sign-token.ts';

/** Why the demo cannot continue, in one line. */
export class CannotGoOn extends Error {
  override name = 'CannotGoOn';
}

/** The demo's connections to the running stack. */
export type Demo = Awaited<ReturnType<typeof connectDemo>>;

/** @throws CannotGoOn if a part does not answer or cannot be controlled */
export async function connectDemo({
  publicUrl,
  temporal: { namespace, ...server },
  polar,
  serviceApiKey,
  auth,
  dataDir,
}: Pick<Environment, 'publicUrl' | 'temporal' | 'polar' | 'serviceApiKey' | 'auth' | 'dataDir'>) {
  if (!serviceApiKey) throw new CannotGoOn('SERVICE_API_KEY is not set: the demo calls the API with it');
  await answers('The API', `${publicUrl}/healthz`);
  // Only the emulator can pay without a real card.
  if (polar.server === 'production' || polar.server === 'sandbox') {
    throw new CannotGoOn('The demo needs the Polar emulator: start the stack without POLAR_ACCESS_TOKEN');
  }
  await answers('The Polar emulator', `${polar.server}/emulator/health`);
  const connection = await Connection.connect(server).catch((error: unknown) => {
    throw new CannotGoOn(`Temporal does not answer at ${server.address}: ${messageOf(error)}`);
  });

  const as = (credentials: Credentials) => createBillingClient({ baseUrl: publicUrl, credentials });

  return {
    publicUrl,
    dataDir,
    /** Calls the API with the service key. */
    billing: as({ serviceKey: serviceApiKey }),
    polarUrl: polar.server,
    polar: createPolarClient(polar),
    temporal: new Client({ connection, namespace }),
    temporalUi: embeddedTemporalUi(dataDir, server.address),
    close: () => connection.close(),

    /** Calls an action of the emulator. */
    async press<T>(path: string, answer: z.ZodType<T>, body?: object): Promise<T> {
      const response = await send(`${polar.server}/emulator${path}`, {
        method: 'POST',
        ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
      });
      return read(response, `POST /emulator${path}`, answer);
    },

    /** Reads from the emulator's control API. */
    async look<T>(path: string, answer: z.ZodType<T>): Promise<T> {
      return read(await send(`${polar.server}/emulator${path}`, {}), `GET /emulator${path}`, answer);
    },

    /** Fetches a page like a browser. */
    async page(url: string): Promise<string> {
      const response = await send(url, {});
      if (response.status !== 200) throw new CannotGoOn(`${url.split('?')[0]} answered ${response.status}`);
      return response.text();
    },

    /** Calls the API with a user's own token; with the service key if an identity provider signs the tokens. */
    billingOf(userId: string): BillingClient {
      if (!('jwtSecret' in auth)) return as({ serviceKey: serviceApiKey });
      const { jwtSecret } = auth;
      return as({ token: () => signToken(jwtSecret, userId, '10m') });
    },
  };
}

/** Credits in an answer, as micro-credits. */
export const credits = z.string().transform((decimal) => parseSignedDecimal(decimal));

async function answers(what: string, url: string): Promise<void> {
  const ok = await fetch(url, { signal: AbortSignal.timeout(5_000) }).then(
    (response) => response.ok,
    () => false,
  );
  if (!ok)
    throw new CannotGoOn(`${what} does not answer at ${new URL(url).origin}: is npm start still running?`);
}

async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(30_000) });
  } catch (error) {
    throw new CannotGoOn(`${new URL(url).origin} does not answer: ${messageOf(error)}`);
  }
}

async function read<T>(response: Response, what: string, answer: z.ZodType<T>): Promise<T> {
  const text = await response.text();
  if (response.status !== 200) {
    throw new CannotGoOn(`${what} answered ${response.status}: ${text.slice(0, 500)}`);
  }
  const parsed = answer.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new CannotGoOn(`${what} answered in an unexpected format: ${z.prettifyError(parsed.error)}`);
}

/** The Web UI of the Temporal server that `npm start` started; undefined for another server. */
function embeddedTemporalUi(dataDir: string, address: string): string | undefined {
  try {
    const file = z.object({ temporal: z.int(), temporalUi: z.int() });
    const ports = file.parse(JSON.parse(readFileSync(join(dataDir, 'ports.json'), 'utf8')));
    return address === `127.0.0.1:${ports.temporal}` ? `http://localhost:${ports.temporalUi}` : undefined;
  } catch {
    return undefined;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
