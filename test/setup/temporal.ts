/** The path of the Temporal CLI, to start a dev server: `{ type: 'existing-path', path }`. */
export function temporalCli(): string {
  return pathFrom('TEST_TEMPORAL_CLI');
}

/** The path of the server that skips time, for `TestWorkflowEnvironment.createTimeSkipping`. */
export function temporalTestServer(): string {
  return pathFrom('TEST_TEMPORAL_TEST_SERVER');
}

function pathFrom(name: string): string {
  const path = process.env[name];
  if (!path) throw new Error('Run the tests through Jest: npm test');
  return path;
}
