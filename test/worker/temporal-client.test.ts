import { setTimeout } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { openLink } from '../../dev/link.ts';
import { createTemporalClient } from '../../temporal-client.ts';
import { startDevelopmentServer } from '../setup/temporal.ts';

test('Temporal is reached again after the network was silent while the connection was opened, or later', async () => {
  const temporal = await startDevelopmentServer();
  const link = await openLink(Number(temporal.address.split(':').at(-1)));
  const client = createTemporalClient({ address: `127.0.0.1:${link.port}`, namespace: 'default' });
  try {
    for (const _when of ['while it is opened', 'later']) {
      link.silence();
      expect(await client.isReachable()).toBe(false);
      link.heal(); // for new connections
      while (!(await client.isReachable())) await setTimeout(50);
    }
  } finally {
    await client.close();
    await link.close();
    await temporal.teardown();
  }
}, 60_000);
