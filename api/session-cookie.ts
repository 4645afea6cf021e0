import type { IncomingHttpHeaders } from 'node:http';
import { DomainError } from '../domain-error.ts';

/** `__Host-`: browsers accept it only with `Secure`, for this host and every path. They treat localhost as secure. */
export const sessionCookieName = '__Host-waveloom_session';

const attributes = 'Path=/; Secure; HttpOnly; SameSite=Lax';

/** The secret of the session's cookie; undefined if there is none. */
export function readSessionCookie(cookies: string | undefined): string | undefined {
  return cookies === undefined ? undefined : cookiePattern.exec(cookies)?.[1];
}

const cookiePattern = new RegExp(`(?:^|; ?)${sessionCookieName}=([\\w-]{43})(?:;|$)`);

/** `Set-Cookie` for a new session. */
export function sessionCookie(secret: string, expiresAt: Date): string {
  const seconds = Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1_000));
  return `${sessionCookieName}=${secret}; Max-Age=${seconds}; ${attributes}`;
}

/** `Set-Cookie` that removes the cookie. */
export const removedSessionCookie = `${sessionCookieName}=; Max-Age=0; ${attributes}`;

/**
 * A browser may add the cookie to a request that a page of another site causes. `Sec-Fetch-Site` shows which site it is.
 * Only our own page may change something with the cookie.
 * @throws DomainError `cross_site_request`
 */
export function demandSameOrigin(method: string, headers: IncomingHttpHeaders): void {
  if (['GET', 'HEAD', 'OPTIONS'].includes(method)) return;
  if (headers['sec-fetch-site'] === 'same-origin') return;
  throw new DomainError(
    'cross_site_request',
    'With a session, a request that changes something must have Sec-Fetch-Site: same-origin, as browsers set it for our own page',
  );
}
