import { DefaultLogger, Runtime } from '@temporalio/worker';
import { log } from '../log.ts';

const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
let installed = false;

/**
 * Sends Temporal's own logs to ours. Call it before anything else of Temporal's worker; a second call does nothing.
 * @param metricsAddress  `host:port` where the SDK serves its metrics. Default: it serves none
 */
export function installRuntime(metricsAddress?: string): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    shutdownSignals: [], // main.ts handles them
    logger: new DefaultLogger('WARN', ({ level, message, meta: { error, ...meta } = {} }) =>
      log[levels[level]]({ temporal: meta, ...(error ? { err: error } : {}) }, message),
    ),
    ...(metricsAddress === undefined ? {} : { telemetryOptions: { metrics: prometheus(metricsAddress) } }),
  });
}

/** Names as Prometheus recommends them: seconds, and `_total` for counters. */
function prometheus(bindAddress: string) {
  return {
    prometheus: { bindAddress, countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true },
  };
}
