import type { Request } from 'express';

/** Bytes of unfinished bodies from senders that are not known yet. */
export interface UnsignedBodies {
  /** Counts what arrives of this body while `read` reads it. */
  count<T>(request: Request, read: () => Promise<T>): Promise<T>;
}

/**
 * A signature over a body can be checked only when all of it is there, so anybody can make us keep bytes. Together these bodies
 * keep at most `limitBytes`: beyond that, the connection whose body began first is cut. A real webhook arrives within
 * milliseconds and is among the last, so that senders who do not finish cut only each other.
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
    if (before === undefined) return; // it was cut
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
