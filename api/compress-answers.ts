import compression from 'compression';
import type { RequestHandler, Response } from 'express';

/** A shorter answer fits into one packet. In bytes. */
const thresholdBytes = 1_024;
/** Level 6, the default, makes a report of a year by member a quarter smaller, and takes six times as long. */
const gzipLevel = 1;

const withSecret = new WeakSet<object>();

/**
 * Compresses long JSON and CSV answers. A stream of events is not compressed, because it would wait in the compressor's
 * buffer.
 *
 * An answer that contains a secret is never compressed. Whoever can add text to such an answer and see its length could
 * guess the secret (BREACH, https://breachattack.com). Answers to other methods than GET contain keys and links, so use
 * this for GET only. A GET route whose answer contains a secret sets `answersWithSecret`.
 */
export const compressAnswers: RequestHandler = compression({
  threshold: thresholdBytes,
  level: gzipLevel,
  filter: (_request, response) =>
    response.statusCode === 200 &&
    !withSecret.has(response) &&
    /^(application\/json|text\/csv)\b/.test(String(response.getHeader('content-type'))),
});

/** Keeps this answer uncompressed. Call it before the answer starts. */
export function keepUncompressed(response: Response): void {
  withSecret.add(response);
}
