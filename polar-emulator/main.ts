import { startPolarEmulator } from './polar-emulator.ts';

/**
 * The emulator as a process. `EMULATOR_PORT` (0: any free port), `EMULATOR_DATA_DIR`, `EMULATOR_ACCESS_TOKEN`.
 * `EMULATOR_LOOPBACK_WEBHOOKS=true` allows receivers at `http://` on this machine. `EMULATOR_RETRY_SCALE` (default 1)
 * multiplies the pauses between attempts of a webhook. When it is ready it sends `{ready: true, url}` to its parent
 * and prints one line.
 */
const {
  EMULATOR_PORT,
  EMULATOR_DATA_DIR,
  EMULATOR_ACCESS_TOKEN,
  EMULATOR_LOOPBACK_WEBHOOKS,
  EMULATOR_RETRY_SCALE,
} = process.env;
const renewalPauseMs = 1_000;

async function main(): Promise<void> {
  const port = Number(EMULATOR_PORT ?? '0');
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`EMULATOR_PORT must be a port number, not "${EMULATOR_PORT}"`);
  }
  if (!EMULATOR_ACCESS_TOKEN) throw new Error('EMULATOR_ACCESS_TOKEN is not set');
  const emulator = await startPolarEmulator({
    port,
    accessToken: EMULATOR_ACCESS_TOKEN,
    loopbackWebhooks: EMULATOR_LOOPBACK_WEBHOOKS === 'true',
    retryScale: Number(EMULATOR_RETRY_SCALE ?? '1'),
    log: (message) => console.error(`polar emulator: ${message}`),
    ...(EMULATOR_DATA_DIR === undefined ? {} : { dataDir: EMULATOR_DATA_DIR }),
  });
  const renewals = setInterval(() => {
    emulator.renewDue().catch((error: unknown) => console.error('polar emulator: a renewal failed', error));
  }, renewalPauseMs);

  const stop = async () => {
    clearInterval(renewals);
    await emulator.stop();
    process.exit(0);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  process.once('disconnect', stop);

  console.log(`polar emulator: ready at ${emulator.url}`);
  process.send?.({ ready: true, url: emulator.url });
}

main().catch((error: unknown) => {
  console.error(`polar emulator: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
