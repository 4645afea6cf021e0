import { TestWorkflowEnvironment } from '@temporalio/testing';
import { searchAttributes } from '../../dev/temporal-server.ts';

/** The path of the Temporal CLI, to start a dev server: `{ type: 'existing-path', path }`. */
export function temporalCli(): string {
  return pathFrom('TEST_TEMPORAL_CLI');
}

/** The path of the server that skips time, for `TestWorkflowEnvironment.createTimeSkipping`. */
export function temporalTestServer(): string {
  return pathFrom('TEST_TEMPORAL_TEST_SERVER');
}

/**
 * Starts Temporal's development server, which does not skip time, with our search attributes.
 * @param port  default: a free one
 * @param config  the server's dynamic configuration, such as its limits
 */
export function startDevelopmentServer({
  port,
  config = {},
}: {
  port?: number;
  config?: Record<string, number>;
} = {}): Promise<TestWorkflowEnvironment> {
  const flag = (name: string) => (entry: [string, unknown]) => [name, entry.join('=')];
  return TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path: temporalCli() },
      ...(port === undefined ? {} : { port }),
      extraArgs: [
        ...Object.entries(config).flatMap(flag('--dynamic-config-value')),
        ...Object.entries(searchAttributes).flatMap(flag('--search-attribute')),
      ],
    },
  });
}

function pathFrom(name: string): string {
  const path = process.env[name];
  if (!path) throw new Error('Run the tests through Jest: npm test');
  return path;
}
