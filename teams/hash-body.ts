import { hash } from 'node:crypto';

/** Deeper than any valid body. A hostile body must not overflow the stack. */
const maxNestingLevels = 64;

/**
 * SHA-256 of a parsed JSON value, independent of the order of an object's keys. `1` and `"1.0"` are different bodies,
 * and so are a missing key and `null`.
 * @param without  keys of the value itself that are not part of the hash
 * @throws RangeError if the value is nested more than 64 deep
 */
export function hashBody(body: unknown, { without = [] }: { without?: readonly string[] } = {}): Buffer {
  return hash('sha256', canonical(body, 0, without), 'buffer');
}

function canonical(value: unknown, depth: number, without: readonly string[] = []): string {
  if (depth > maxNestingLevels) throw new RangeError(`nested more than ${maxNestingLevels} deep`);
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([key, member]) => member !== undefined && !without.includes(key))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member, depth + 1)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
