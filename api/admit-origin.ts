import type { RequestHandler } from 'express';

/** How long a browser remembers the answer, in seconds. */
const preflightSeconds = 600;

/** Lets pages of one other origin sign a browser in and out: CORS with credentials, for the JWT that they hold. */
export function admitOrigin(origin: string | undefined): RequestHandler {
  return (request, response, next) => {
    if (origin === undefined) return next();
    response.vary('Origin');
    if (request.headers.origin !== origin) return next();
    response.set({ 'Access-Control-Allow-Origin': origin, 'Access-Control-Allow-Credentials': 'true' });
    if (request.method !== 'OPTIONS') return next();
    response.set({
      'Access-Control-Allow-Methods': 'POST, DELETE',
      'Access-Control-Allow-Headers': 'Authorization',
      'Access-Control-Max-Age': String(preflightSeconds),
    });
    response.status(204).end();
  };
}
