import { BlockList, isIPv6 } from 'node:net';
import type { RequestHandler } from 'express';
import { DomainError } from '../domain-error.ts';

/**
 * For the pages of development under `/dev`, which need no password. Only a connection from this machine counts: with
 * `HOST=0.0.0.0` another machine could send `Host: localhost`. And only this machine's own names count: a page of another
 * site could reach it by a name that it points to this machine.
 */
export const demandThisMachine: RequestHandler = ({ socket, hostname }, _response, next) => {
  const isOwnName = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname);
  if (isOwnName && isOwnAddress(socket.remoteAddress)) return next();
  throw new DomainError('unknown_route', 'Open this page on this machine, as http://localhost');
};

/** Whether a connection from this address comes from this machine. */
export function isOwnAddress(address: string | undefined): boolean {
  return address !== undefined && loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');
