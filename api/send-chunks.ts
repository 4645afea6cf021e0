import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { log } from '../log.ts';

/** A client that reads nothing for this long loses its connection, and with it its turn. */
const stalledMs = 60_000;
/** So does one that takes longer for the whole answer, because it could read a byte now and then for ever. */
const longestMs = 15 * 60_000;

/**
 * Sends text as it is produced, only as fast as the client reads it. If the client leaves, no more is produced. If producing
 * fails, the connection is closed before the end of the answer, so that the client sees an incomplete answer.
 */
export async function sendChunks(
  response: ServerResponse,
  chunks: AsyncIterable<string>,
  withinMs = longestMs,
): Promise<void> {
  const tooLong = setTimeout(() => response.destroy(), withinMs);
  response.setTimeout(stalledMs, () => response.destroy());
  try {
    await pipeline(chunks, response);
  } catch (error) {
    if (!hasLeft(error)) log.error({ err: error }, 'an answer ended before it was complete');
  } finally {
    clearTimeout(tooLong);
    response.setTimeout(0);
  }
}

function hasLeft(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    error.code === 'ERR_STREAM_PREMATURE_CLOSE'
  );
}
