import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  filterQuery,
  type GroupKey,
  parseViewState,
  type ViewState,
  withFilter,
  writeViewState,
} from '../../../web/usage/view-state.ts';

const parse = (query: string) => parseViewState(new URLSearchParams(query), 'Europe/Berlin');
const defaults: ViewState = {
  range: { kind: 'cycle' },
  zone: 'Europe/Berlin',
  groupBy: 'model',
  filters: new Map(),
  day: null,
  receipt: null,
  patterns: false,
};

test('an empty query shows this cycle by model, in the reader’s zone', () => {
  expect(parse('')).toEqual(defaults);
  expect(parseViewState(new URLSearchParams(), 'not a zone').zone).toBe('UTC');
});

test('hostile and outdated values get their defaults', () => {
  const hostile = [
    'range=2026-02-30..2026-03-01&zone=EST&by=password&day=yesterday&receipt=1~2&patterns=yes',
    'range=2026-03-02..2026-03-01&by=tag:<script>&tag=<b>:x',
    'range=2020-01-01..2026-01-01&zone=__proto__&by=constructor&by=tag:',
    `model=${'x'.repeat(129)}&action=&tag=nocolon&member=${'y'.repeat(5000)}`,
    'receipt=2026-13-01T00:00:00.000Z~01929d7e-8c1f-7a54-8000-000000000000',
  ];
  for (const query of hostile) expect(parse(query)).toEqual(defaults);
});

test('no query makes the page fail', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.constantFrom('range', 'by', 'zone', 'tag', 'day', 'receipt', 'model'), fc.string()),
      ),
      (pairs) => {
        const state = parseViewState(new URLSearchParams(pairs), 'UTC');
        expect(parseViewState(writeViewState(state), 'UTC')).toEqual(state);
      },
    ),
  );
});

test('a link shows the same view to a colleague in another zone', () => {
  const view: ViewState = {
    range: { kind: 'own', first: '2026-10-01', last: '2026-10-31' },
    zone: 'Asia/Kolkata',
    groupBy: 'tag:project',
    filters: new Map<GroupKey, string | null>([
      ['model', 'gpt-5'],
      ['member', null],
      ['tag:env', 'a&b=c:d'],
    ]),
    day: '2026-10-12',
    receipt: { id: '01929d7e-8c1f-7a54-8000-000000000000', at: '2026-10-12T09:00:00.123Z' },
    patterns: true,
  };
  const query = writeViewState(view).toString();
  expect(parseViewState(new URLSearchParams(query), 'America/Havana')).toEqual(view);
  expect(filterQuery(view.filters)).toEqual({ model: 'gpt-5', member: '', tag: 'env:a&b=c:d' });
});

test('a second tag replaces the first, as the API filters by one tag', () => {
  const first = withFilter(new Map(), 'tag:project', 'site');
  expect([...withFilter(withFilter(first, 'model', 'gpt-5'), 'tag:env', null)]).toEqual([
    ['model', 'gpt-5'],
    ['tag:env', null],
  ]);
});
