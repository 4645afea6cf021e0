import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy on the loopback interface whose traffic can be interrupted. */
export interface Link {
  port: number;
  /** Closes every connection and refuses new ones. */
  cut(): void;
  /** Accepts all bytes and forwards none, also on new connections. No side notices that the other is gone. */
  silence(): void;
  /** New connections work again. Silenced ones never do. */
  heal(): void;
  close(): Promise<void>;
}

interface Pair {
  near: Socket;
  far: Socket;
  silent: boolean;
}

/** Opens a link to local ports. Each new connection goes to the next of them. */
export async function openLink(...targets: readonly [number, ...number[]]): Promise<Link> {
  const pairs = new Set<Pair>();
  let state: 'open' | 'cut' | 'silent' = 'open';
  let opened = 0;

  const server = createServer((near) => {
    if (state === 'cut') return void near.destroy();
    const target = targets[opened++ % targets.length];
    const pair: Pair = {
      near,
      far: connect({ port: target ?? 0, host: '127.0.0.1' }),
      silent: state === 'silent',
    };
    pairs.add(pair);
    pass(pair, near, pair.far);
    pass(pair, pair.far, near);
  });

  function pass(pair: Pair, from: Socket, to: Socket): void {
    from.setNoDelay(true);
    from.on('data', (bytes) => {
      if (!pair.silent && !to.write(bytes)) from.pause();
    });
    to.on('drain', () => from.resume());
    from.on('error', () => {}); // 'close' follows
    from.on('close', () => {
      if (!pair.silent) end(pair);
    });
  }

  function end(pair: Pair): void {
    pairs.delete(pair);
    pair.near.destroy();
    pair.far.destroy();
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the link has no port');
  return {
    port: address.port,
    cut() {
      state = 'cut';
      for (const pair of pairs) end(pair);
    },
    silence() {
      state = 'silent';
      for (const pair of pairs) pair.silent = true;
    },
    heal() {
      state = 'open';
      for (const pair of pairs) if (pair.near.destroyed || pair.far.destroyed) end(pair);
    },
    async close() {
      for (const pair of pairs) end(pair);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
