import type { Request } from 'express';

/** Limits the memory for bodies of senders that are not verified yet. */
export interface UnsignedBodies {
  /** Counts the received bytes of this body while `read` reads it. */
  count<T>(request: Request, read: () => Promise<T>): Promise<T>;
}

/**
 * A signature over a body can be checked only after the whole body has arrived, so anyone can make us store bytes.
 * Together these bodies use at most `limitBytes`. Beyond that, the connection whose body began first is closed. A real
 * webhook arrives within milliseconds and is one of the newest, so senders who do not finish only close each other's
 * connections.
 */
export function createUnsignedBodies(limitBytes = 67_108_864): UnsignedBodies {
  /** In the order in which they began. */
  const unfinished = new Map<Request, number>();
  let totalBytes = 0;

  const forget = (request: Request) => {
    totalBytes -= unfinished.get(request) ?? 0;
    unfinished.delete(request);
  };
  const add = (request: Request, bytes: number) => {
    const before = unfinished.get(request);
    if (before === undefined) return; // it was closed
    unfinished.set(request, before + bytes);
    totalBytes += bytes;
    for (const oldest of unfinished.keys()) {
      if (totalBytes <= limitBytes) return;
      forget(oldest);
      oldest.destroy();
    }
  };

  return {
    async count(request, read) {
      unfinished.set(request, 0);
      const result = read();
      request.on('data', (chunk: Buffer) => add(request, chunk.length));
      try {
        return await result;
      } finally {
        forget(request);
      }
    },
  };
}
