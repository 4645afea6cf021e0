import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { binaryColumn } from '../../ledger/spend/binary-array.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const { database } = useTestDatabase({ pool: 1 });

/** The value that Postgres received, as text. */
async function sent(type: Parameters<typeof binaryColumn>[0], column: Buffer): Promise<(string | null)[]> {
  const { rows } = await database.pool.query<{ value: string | null }>({
    text: `select case when jsonb_typeof(to_jsonb(value)) in ('object', 'array') then value::text else to_jsonb(value) #>> '{}' end as value
             from unnest($1::${type}[]) with ordinality as sent (value, row) order by row`,
    values: [column],
  });
  return rows.map(({ value }) => value);
}

/** Rows of a column: some of them NULL, or no rows at all. */
const rowsOf = <T>(value: fc.Arbitrary<T>) => fc.array(fc.option(value), { maxLength: 20 });

async function arrivesAsSent<T>(
  type: Parameters<typeof binaryColumn>[0],
  value: fc.Arbitrary<T>,
  toText: (value: T) => string,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(rowsOf(value), async (rows) => {
      const column = binaryColumn(type, rows, (row) => row as never);
      expect(await sent(type, column)).toEqual(rows.map((row) => (row === null ? null : toText(row))));
    }),
    { numRuns: 50 },
  );
}

// Postgres cannot store NUL in text, and half of a surrogate pair is not a character.
const text = fc
  .string({ unit: 'grapheme', maxLength: 50 })
  .filter((value) => value.isWellFormed() && !value.includes('\0'));

test('text arrives as it was sent, in every script', () => arrivesAsSent('text', text, (value) => value));

test('a UUID arrives as it was sent, in lower case or upper case', () =>
  arrivesAsSent('uuid', fc.mixedCase(fc.uuid()), (value) => value.toLowerCase()));

test('an amount arrives with every micro-credit', () =>
  arrivesAsSent('int8', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), String));

test('a number arrives as it was sent', () => arrivesAsSent('int4', fc.integer(), String));

test('bytes arrive as they were sent', () =>
  arrivesAsSent(
    'bytea',
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    (bytes) => `\\x${bytes.toString('hex')}`,
  ));

test('an instant arrives to the millisecond, before the year 2000 as well as after it', async () => {
  await database.pool.query(`set timezone to 'UTC'`);
  await arrivesAsSent(
    'timestamptz',
    fc.date({ min: new Date('1900-01-01'), max: new Date('2200-01-01'), noInvalidDate: true }),
    (at) => at.toISOString().replace(/\.?0*Z$/, '+00:00'),
  );
});

test('a JSON document arrives with its contents', async () => {
  const documents = [{ quantity: '1200', 'ключ "é"': [1, null, '\\'] }, [], null];
  const column = binaryColumn('jsonb', documents, (document) => document && JSON.stringify(document));
  const arrived = await sent('jsonb', column);
  expect(arrived.map((document) => document && JSON.parse(document))).toEqual(documents);
});

test('columns of many rows arrive completely', async () => {
  const rows = Array.from({ length: 5_000 }, (_, row) => `${row} `.repeat(10));
  expect(
    await sent(
      'text',
      binaryColumn('text', rows, (row) => row),
    ),
  ).toEqual(rows);
});

test.each([
  '',
  '0195f0d0',
  '0195f0d0-0000-7000-8000-00000000000g',
  '0195f0d0-0000-7000-8000-0000000000000',
  'é'.repeat(32),
])('a value that is not a UUID is not sent: %j', (value) => {
  expect(() => binaryColumn('uuid', [value], (row) => row)).toThrow('this is not a UUID');
});
