import { once } from 'node:events';
import type { Server } from 'node:http';
import { EnvironmentError } from './environment.ts';

/** The address and port of a server for operators, and the variable that names the port. */
interface OperationsPort {
  host: string;
  port: number;
  variable: string;
  production: boolean;
}

/**
 * Listens for operators and Prometheus. Outside production, if the port is in use, a free one is chosen, so that two
 * stacks can run side by side.
 * @returns the port on which it listens
 * @throws EnvironmentError
 */
export async function listenForOperators(
  server: Server,
  { host, port, variable, production }: OperationsPort,
): Promise<number> {
  try {
    await listen(server, port, host, variable);
  } catch (error) {
    if (production || !(error instanceof EnvironmentError)) throw error;
    await listen(server, 0, host, variable);
  }
  const address = server.address();
  return typeof address === 'object' && address ? address.port : port;
}

/** @throws EnvironmentError if the port or the address cannot be used; `variable` names the port. */
export async function listen(server: Server, port: number, host: string, variable: string): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw explainListen(error, variable) ?? error;
  }
}

function explainListen(error: unknown, variable: string): EnvironmentError | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new EnvironmentError([
      `The server cannot listen: the port (${variable}) is in use by another program`,
    ]);
  }
  if (code !== 'EADDRNOTAVAIL') return undefined;
  return new EnvironmentError(['The server cannot listen: the address (HOST) must belong to this machine']);
}
