import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { routes } from '../../api/app.ts';
import { operationsRoutes } from '../../api/routes/health.ts';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const page = read('../../docs/security.md');

test('the security page says for every route who may call it', () => {
  const written = [...page.matchAll(/^\| `([A-Z]+ \/\S*)` +\| ([^|]+?) +\| ([^|]+?) +\|$/gm)].map(
    ([, route, services, users]) => `${route}: ${services}; ${users}`,
  );
  const actual = [...routes, ...operationsRoutes].map(({ method, path, access }) => {
    const services = access === 'public' ? 'everybody' : access.services?.join(', ') || '–';
    const users = access === 'public' ? 'everybody' : usersOf(access.persons);
    return `${method.toUpperCase()} ${path}: ${services}; ${users}`;
  });
  expect(written.sort()).toEqual(actual.sort());
});

function usersOf(persons: 'signedIn' | readonly string[] | undefined): string {
  return persons === 'signedIn' ? 'signed in' : persons?.join(', ') || '–';
}

test('every ceiling on the page equals the one in the named file', () => {
  const [, table] = page.split('\n## Ceilings\n');
  const rows = [...(table ?? '').matchAll(/^\| ([^|`]+?) +\| ([^|]+?) +\| (`[^|]+`) +\|$/gm)];
  expect(rows).toHaveLength([...(table ?? '').matchAll(/^\|/gm)].length - 2); // without the table's head
  for (const [, what, limit, where] of rows) {
    const files = [...(where ?? '').matchAll(/`([^`]+)`/g)].map(([, file]) => read(`../../${file}`));
    for (const ceiling of ceilingsIn(limit ?? ''))
      expect({ what, ceiling, found: files.some((text) => says(text, ceiling)) }).toEqual({
        what,
        ceiling,
        found: true,
      });
    for (const [, policy] of (limit ?? '').matchAll(/`([\w.]+)`/g))
      expect(files.join('\n')).toContain(`${policy?.split('.').at(-1)}:`);
  }
});

interface Ceiling {
  amount: number;
  unit: string;
}

/** Seconds in a unit of time. */
const seconds: Record<string, number> = { s: 1, minutes: 60, hours: 3_600, days: 86_400 };
const bytes: Record<string, number> = { kB: 1_024, MiB: 1_048_576 };

function ceilingsIn(limit: string): Ceiling[] {
  const amounts = limit.replace(/`[^`]*`/g, '').matchAll(/(?<![\d^])(\d[\d,]*)(?!\d*\^)(?: (\w+))?/g);
  return [...amounts].map(([, amount, unit = '']) => ({ amount: Number(amount?.replaceAll(',', '')), unit }));
}

/** Whether the number is in the code or the catalog, in this or another unit: `5 s` may be `5_000`. */
function says(text: string, { amount, unit }: Ceiling): boolean {
  const plain = text.replace(/(?<=\d)_(?=\d)/g, '');
  const inSeconds = amount * (seconds[unit] ?? 1);
  const forms = [
    `${amount}`,
    `${inSeconds}`,
    `${inSeconds * 1_000}`,
    `${amount}${unit.charAt(0)}`,
    ...(unit in bytes ? [`${amount} * ${bytes[unit]}`, `${amount * (bytes[unit] ?? 1)}`] : []),
    ...(unit in seconds
      ? [`${amount} * ${seconds[unit]}`, `${amount} * ${(seconds[unit] ?? 0) * 1_000}`]
      : []),
  ];
  return forms.some((form) => new RegExp(`(?<![\\d.])${form.replaceAll('*', '\\*')}(?![\\d.])`).test(plain));
}
