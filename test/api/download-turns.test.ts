import { expect, test } from '@jest/globals';
import type { Caller } from '../../api/authenticate.ts';
import { createDownloadTurns } from '../../api/download-turns.ts';

test('one user with four teams cannot have all turns of downloads', async () => {
  const turns = createDownloadTurns();
  const person = (userId: string): Caller => ({ kind: 'person', userId, validUntil: new Date() });
  const service: Caller = { kind: 'service', keyId: 'key', scopes: ['billing'] };
  const begun: string[] = [];
  const isRead = Promise.withResolvers<void>();
  const download = (teamId: string, caller: Caller) =>
    turns.take(teamId, caller, () => {
      begun.push(teamId);
      return isRead.promise;
    });
  const downloads = [];
  for (const teamId of ['a1', 'a1', 'a2', 'a2', 'a3', 'a3', 'a4', 'a4'])
    downloads.push(download(teamId, person('ada')));
  for (const teamId of ['b1', 'b1', 's1', 's1', 's2', 's2'])
    downloads.push(download(teamId, teamId === 'b1' ? person('ben') : service));
  await new Promise(setImmediate);
  expect(begun).toEqual(['a1', 'a1', 'b1', 'b1', 's1', 's1', 's2', 's2']);
  isRead.resolve();
  await Promise.all(downloads);
  expect(begun.slice(8)).toEqual(['a2', 'a2', 'a3', 'a3', 'a4', 'a4']);
});
