import type { ZodObject, ZodType } from 'zod';
import type { Lane } from '../database/connection.ts';
import type { ErrorCode } from '../errors.ts';
import type { Access } from './authorize.ts';

/** Failures of the commit of a debit or hold: the same request may be sent again with the same key. */
export const whileCommitting = [
  'outcome_unknown',
  'team_busy',
  'shutting_down',
  'catalog_not_published',
] as const satisfies readonly ErrorCode[];

/** What decides which codes a route can answer with. */
interface RefusingRoute {
  access: Access | 'public';
  method: string;
  path: string;
  request: { query?: ZodObject; body?: ZodType };
  rawBody?: object;
  lane?: Lane;
  needsIdempotencyKey?: boolean;
  refusals?: readonly ErrorCode[];
}

/** Every code that the route can answer with: its own, and those of its access, parameters, body and key. */
export function refusalsOf({
  access,
  method,
  path,
  request,
  rawBody,
  lane,
  needsIdempotencyKey,
  refusals = [],
}: RefusingRoute): readonly ErrorCode[] {
  const codes: ErrorCode[] = [
    'invalid_parameters',
    'internal_error',
    'database_busy',
    'database_unavailable',
    ...refusals,
  ];
  if (access !== 'public')
    codes.push('unauthenticated', 'forbidden', 'identity_provider_unavailable', 'rate_limited');
  if (access !== 'public' && access.persons && !access.byTokenOnly && method !== 'get')
    codes.push('cross_site_request');
  if (request.query && 'cursor' in request.query.shape) codes.push('invalid_cursor');
  if (path.includes('{')) codes.push('malformed_url');
  if (path.includes('{teamId}')) codes.push('unknown_team', 'team_busy');
  if (request.body || rawBody) codes.push('malformed_body', 'body_too_large', 'unsupported_media_type');
  if (request.body) codes.push('malformed_json', 'invalid_request');
  if (needsIdempotencyKey) codes.push('idempotency_key_required', 'idempotency_conflict');
  if (lane !== 'spending' && access !== 'public') codes.push('too_many_requests', 'overloaded');
  return [...new Set(codes)];
}
