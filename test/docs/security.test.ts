import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { routes } from '../../api/app.ts';
import { operationsRoutes } from '../../api/routes/health.ts';

const page = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');

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
