import http from 'node:http';
import https from 'node:https';
import { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } from 'request-filtering-agent';

const timeoutMs = 10_000;
const maxAnswerBytes = 65_536;

/** The HTTP status of an answer, or why there was none. */
export type PostResult = { status: number } | { error: string };

export type PostMessage = (url: string, headers: Record<string, string>, body: string) => Promise<PostResult>;

/**
 * Posts to endpoints of other systems. Addresses are checked when the connection is opened, after DNS, so a name that
 * resolves to a private, link-local or metadata address is refused. Redirects are not followed. A call takes at most
 * 10 s, and 64 kB of its answer are read. Never rejects.
 *
 * @param allowPrivate  addresses and CIDR ranges that are allowed although they are private
 */
export function createPostMessage({
  allowPrivate,
  ca,
}: {
  allowPrivate: readonly string[];
  /** The authorities that are trusted in addition to Node's (tests). */
  ca?: string;
}): PostMessage {
  const options = { allowIPAddressList: [...allowPrivate], keepAlive: false, ...(ca ? { ca } : {}) };
  const agents = {
    'http:': new RequestFilteringHttpAgent(options),
    'https:': new RequestFilteringHttpsAgent(options),
  };
  return (url, headers, body) =>
    new Promise((resolve) => {
      const { protocol } = new URL(url);
      if (protocol !== 'http:' && protocol !== 'https:')
        return resolve({ error: 'the URL must begin with https://' });
      const { request } = protocol === 'https:' ? https : http;
      const fail = (error: Error) => resolve({ error: explain(error) });
      try {
        const sent = request(
          url,
          {
            method: 'POST',
            agent: agents[protocol],
            signal: AbortSignal.timeout(timeoutMs),
            headers: {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(body),
              'user-agent': 'Waveloom-Billing/1',
              ...headers,
            },
          },
          (answer) => {
            let read = 0;
            const done = () => resolve({ status: answer.statusCode ?? 0 });
            answer.on('data', (chunk: Buffer) => {
              read += chunk.length;
              if (read <= maxAnswerBytes) return;
              done();
              answer.destroy();
            });
            answer.on('end', done);
            answer.on('error', fail);
          },
        );
        sent.on('error', fail);
        sent.end(body);
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error))); // the agent refuses an IP address in the URL
      }
    });
}

function explain(error: Error): string {
  const text = error.name === 'AbortError' ? `no answer within ${timeoutMs / 1_000} s` : error.message;
  return text.slice(0, 300);
}
