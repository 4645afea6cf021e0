import type { Response } from 'express';
import type { Database } from '../database/connection.ts';
import { DomainError, isRefusal } from '../domain-error.ts';
import { log } from '../log.ts';

/** The kinds of change that an event names. No event contains figures. */
export const changeKinds = ['balance', 'subscription', 'invoices', 'usage'] as const;
type ChangeKind = (typeof changeKinds)[number];

/** A fingerprint of the rows behind each kind. */
type TeamState = Readonly<Record<ChangeKind, string>>;

/** Pause between two reads of the watched teams. It is also the longest delay of an event. */
const pollMs = 1_000;
/** Pause after a read that failed. */
const pollAfterErrorMs = 5_000;
/** Proxies close silent connections, most of them after 60 seconds. */
const heartbeatMs = 15_000;
/** How long a browser waits before it connects again. */
const reconnectMs = 2_000;
/** A client with more unread bytes than this loses its connection. Events are small, so it has stopped reading. */
const mostUnreadBytes = 16_384;

const mostStreamsOfCaller = 12;
const mostStreamsOfTeam = 100;
const mostStreams = 1_000;

/** A request for a stream. */
export interface StreamRequest {
  teamId: string;
  /** The caller's name. */
  caller: string;
  /** `Last-Event-ID`: what changed since then is sent at once. */
  lastEventId: string | undefined;
  /** The end of the caller's token or session, in wall time; undefined: a service key. */
  validUntil: Date | undefined;
  /** Throws a refusal if the caller lost the right to read the team. Called before each event and heartbeat. */
  confirmCaller(): Promise<void>;
}

/** The streams of one process. */
export interface TeamEvents {
  /**
   * Prepares a stream; the returned function begins it.
   * @throws DomainError `too_many_requests`, `overloaded`, both from the returned function
   */
  open(request: StreamRequest): Promise<(response: Response) => void>;
  /** Ends every stream: browsers connect again, to another process. */
  close(): void;
}

interface Stream extends StreamRequest {
  response: Response;
  state: TeamState;
  nextHeartbeat: number;
  /** Whether its caller is being checked. */
  isUpdating: boolean;
}

/**
 * Streams of changes. One query a second reads fingerprints of all watched teams, on one connection. Unlike
 * LISTEN/NOTIFY it costs spends nothing, and works behind PgBouncer.
 */
export function createTeamEvents(database: Database): TeamEvents {
  const streams = new Set<Stream>();
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  function schedule(delayMs = pollMs): void {
    if (timer !== undefined || isClosed || streams.size === 0) return;
    timer = setTimeout(async () => {
      const isRead = await poll();
      timer = undefined;
      schedule(isRead ? pollMs : pollAfterErrorMs);
    }, delayMs);
    timer.unref();
  }

  async function poll(): Promise<boolean> {
    // A stream that opens during the read has a newer state than the one that is read.
    const watched = [...streams];
    try {
      const states = await readStates(database, [...new Set(watched.map(({ teamId }) => teamId))]);
      // Not awaited: a check of one caller that takes long, because a key server hangs, must not delay the others.
      for (const stream of watched) void update(stream, states.get(stream.teamId));
      return true;
    } catch (error) {
      log.warn({ err: error }, 'the changes of watched teams could not be read');
      return false;
    }
  }

  return {
    async open(request) {
      const { teamId, caller, lastEventId } = request;
      const current = (await readStates(database, [teamId])).get(teamId);
      if (!current) throw new DomainError('unknown_team', `There is no team ${teamId}`, { teamId });
      return (response) => {
        refuseTooMany(streams, teamId, caller);
        response.locals.isStream = true;
        response.status(200).set({
          'Content-Type': 'text/event-stream',
          'X-Accel-Buffering': 'no', // nginx would keep events back
        });
        response.flushHeaders();
        const state = stateOf(lastEventId) ?? current;
        const nextHeartbeat = performance.now() + heartbeatMs;
        const stream = { ...request, response, state, nextHeartbeat, isUpdating: false };
        response.write(`retry: ${reconnectMs}\nid: ${idOf(state)}\n\n`);
        const changed = changesBetween(state, current);
        if (changed.length > 0) sendChanges(stream, changed, current);
        if (isClosed) return response.end();
        streams.add(stream);
        response.once('close', () => streams.delete(stream));
        schedule();
      };
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      for (const { response } of streams) response.end();
    },
  };
}

function refuseTooMany(streams: ReadonlySet<Stream>, teamId: string, caller: string): void {
  const count = (belongs: (stream: Stream) => boolean) => [...streams].filter(belongs).length;
  const details = { retryAfterSeconds: 60 };
  if (streams.size >= mostStreams)
    throw new DomainError('overloaded', 'Too many streams are open: read the team again later', details);
  if (
    count((stream) => stream.caller === caller) >= mostStreamsOfCaller ||
    count((stream) => stream.teamId === teamId) >= mostStreamsOfTeam
  )
    throw new DomainError('too_many_requests', 'Close other streams of this user or team first', details);
}

/** Sends what has changed, or a heartbeat that is due, or ends the stream. Never rejects. */
async function update(stream: Stream, current: TeamState | undefined): Promise<void> {
  const { response, validUntil, nextHeartbeat, isUpdating } = stream;
  const hasEnded = validUntil !== undefined && Date.now() >= validUntil.getTime();
  if (!current || hasEnded) return void response.end();
  if (response.writableLength > mostUnreadBytes) return void response.destroy();
  if (isUpdating) return; // the next read finds the change again
  const changed = changesBetween(stream.state, current);
  if (changed.length === 0 && performance.now() < nextHeartbeat) return;
  stream.isUpdating = true;
  try {
    await stream.confirmCaller();
  } catch (error) {
    // If Postgres does not answer, the stream stays open and sends nothing.
    if (isRefusal(error)) response.end();
    return;
  } finally {
    stream.isUpdating = false;
  }
  if (response.writableEnded) return;
  if (changed.length > 0) sendChanges(stream, changed, current);
  else response.write(':\n\n');
  stream.nextHeartbeat = performance.now() + heartbeatMs;
}

function sendChanges(stream: Stream, changed: readonly ChangeKind[], current: TeamState): void {
  stream.response.write(`id: ${idOf(current)}\ndata: ${JSON.stringify({ changed })}\n\n`);
  stream.state = current;
}

function changesBetween(before: TeamState, after: TeamState): ChangeKind[] {
  return changeKinds.filter((kind) => before[kind] !== after[kind]);
}

function idOf(state: TeamState): string {
  return changeKinds.map((kind) => state[kind]).join('-');
}

/** Undefined for an id that is not ours. */
function stateOf(id: string | undefined): TeamState | undefined {
  if (id === undefined || !/^[0-9a-f]{12}(-[0-9a-f]{12}){3}$/.test(id)) return undefined;
  const [balance = '', subscription = '', invoices = '', usage = ''] = id.split('-');
  return { balance, subscription, invoices, usage };
}

/**
 * The fingerprints of living teams. `xmin` is the transaction that wrote a row last. A debit changes a grant that is or
 * was open, so the closed grants, which are many, are not read.
 */
async function readStates(database: Database, teamIds: readonly string[]): Promise<Map<string, TeamState>> {
  const { rows } = await database.lane('reads').pool.query<TeamState & { id: string }>(
    `select t.id,
            left(md5(concat(grants.versions, ' ', debts.versions)), 12) as balance,
            left(md5(concat(subscriptions.versions)), 12) as subscription,
            left(md5(concat(orders.versions)), 12) as invoices,
            left(md5(concat(grants.consumed, ' ', latest.id)), 12) as usage
       from teams t
      cross join lateral (
        select string_agg(concat(id, xmin), ',' order by id) as versions, coalesce(sum(consumed), 0) as consumed
          from grants where team_id = t.id and open) grants
      cross join lateral (
        select string_agg(concat(key, xmin), ',' order by key) as versions
          from debts where team_id = t.id and owed > settled) debts
      cross join lateral (
        select string_agg(concat(id, xmin), ',' order by id) as versions
          from subscriptions where team_id = t.id) subscriptions
      cross join lateral (
        select string_agg(concat(id, xmin), ',' order by id) as versions
          from orders where team_id = t.id) orders
       left join lateral (
        select id from usage_events where team_id = t.id order by occurred_at desc limit 1) latest on true
      where t.id = any($1) and t.deleted_at is null`,
    [teamIds],
  );
  return new Map(rows.map(({ id, ...state }) => [id, state]));
}
