import { expect, test } from '@jest/globals';
import { withoutPersonalData } from '../../inbox/inbox.ts';

const mebibytes8 = 8 * 1_048_576;

test.each(['x', 'x@', '@', 'x.', '@x', 'x@x ', 'x@ .'])(
  '8 MiB of %j cost a time that grows with their length only',
  (part) => {
    const text = part.repeat(mebibytes8 / part.length);
    expect(withoutPersonalData({ note: text })).toEqual({ note: text });
  },
);

test('an e-mail address in 8 MiB of text is found at any position', () => {
  const filling = 'x'.repeat(mebibytes8);
  const one = '@x'.repeat(100_000);
  for (const text of [
    `${filling} ada@example.com`,
    `ada@example.com ${filling}`,
    `${filling}@x.y`,
    `${one}@x.y`,
  ])
    expect(withoutPersonalData([text])).toEqual([null]);
});

test.each(['a@b', '@b.c', 'a@.c', 'a@b.', 'a @b.c', 'a@ b.c', 'a@b@', 'v1.2', ''])(
  '%j is no e-mail address and stays',
  (text) => {
    expect(withoutPersonalData(text)).toBe(text);
  },
);

test.each(['a@b.c', '(a@b.c)', 'a@b..c', 'a@@b@c.d', 'write to ada@example.com, please'])(
  '%j is left out',
  (text) => {
    expect(withoutPersonalData(text)).toBeNull();
  },
);
