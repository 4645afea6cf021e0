import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { logCopy } from '../setup/log-copy.ts';
import { firstKey, jwtSecret, polarToken, webhookSecret } from './running-api.ts';

/** Starts the API as a process of its own, without Temporal and Polar. It sends `{ready: true}` when it listens. */
export function spawnApi({
  port,
  operationsPort,
  databaseUrl,
  polarServer = 'http://127.0.0.1:1',
}: {
  port: number;
  operationsPort: number;
  databaseUrl: string;
  polarServer?: string;
}): ChildProcess {
  return spawn(process.execPath, [join(import.meta.dirname, '../../api/main.ts')], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: {
      PORT: String(port),
      OPERATIONS_PORT: String(operationsPort),
      DATABASE_URL: databaseUrl,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      POLAR_ACCESS_TOKEN: polarToken,
      POLAR_SERVER: polarServer,
      POLAR_WEBHOOK_SECRET: webhookSecret,
      AUTH_JWT_SECRET: jwtSecret,
      SERVICE_API_KEY: firstKey,
      ...logCopy,
      LOG_LEVEL: 'silent',
    },
  });
}
