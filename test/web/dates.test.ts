import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const dates = join(import.meta.dirname, '../../web/format/dates.ts');
const program = `import { formatDate } from ${JSON.stringify(dates)}; console.log(formatDate('2026-12-31', 'en-US'));`;

test.each(['Pacific/Kiritimati', 'America/Los_Angeles'])(
  'a date of the API is the same day for a reader in %s',
  (zone) => {
    const options = ['--input-type=module', '--eval', program];
    const text = execFileSync(process.execPath, options, { env: { ...process.env, TZ: zone } });
    expect(text.toString().trim()).toBe('Dec 31, 2026');
  },
);
