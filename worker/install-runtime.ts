import { DefaultLogger, Runtime } from '@temporalio/worker';
import { log } from '../log.ts';

const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
let installed = false;

/** Sends Temporal's own logs to ours. Call it before anything else of Temporal's worker; a second call does nothing. */
export function installRuntime(): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    shutdownSignals: [], // main.ts handles them
    logger: new DefaultLogger('WARN', ({ level, message, meta: { error, ...meta } = {} }) =>
      log[levels[level]]({ temporal: meta, ...(error ? { err: error } : {}) }, message),
    ),
  });
}
