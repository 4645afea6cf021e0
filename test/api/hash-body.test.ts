import { expect, test } from '@jest/globals';
import { hashBody } from '../../api/read-body.ts';

const hex = (body: unknown) => hashBody(body).toString('hex');

test('the order of keys does not matter, at any depth; the order of a list does', () => {
  expect(hex({ a: 1, b: { c: [1, 2], d: null } })).toBe(hex({ b: { d: null, c: [1, 2] }, a: 1 }));
  expect(hex({ a: [1, 2] })).not.toBe(hex({ a: [2, 1] }));
});

test('bodies that mean different things have different hashes', () => {
  const bodies = [
    {},
    [],
    null,
    { a: 1 },
    { a: '1' },
    { a: null },
    { a: [1] },
    { a: { b: 1 } },
    '{"a":1}',
    { 'a":1,"b': 1 },
  ];
  expect(new Set(bodies.map(hex)).size).toBe(bodies.length);
});

test('a hostile depth is refused, not followed', () => {
  const deep = JSON.parse(`${'['.repeat(10_000)}${']'.repeat(10_000)}`);
  expect(() => hashBody(deep)).toThrow(RangeError);
});

test('keys that are left out do not count, but the same keys deeper in the body do', () => {
  const body = { a: 1, in: { key: 'x' } };
  const hashWithout = (value: unknown) => hashBody(value, { without: ['key'] }).toString('hex');
  expect(hashWithout({ ...body, key: 'y' })).toBe(hex(body));
  expect(hashWithout({ a: 1, in: {} })).not.toBe(hex(body));
});
