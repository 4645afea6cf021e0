/**
 * Values in Postgres' binary form of an array, for `unnest($1::…[])`. With text parameters, at thousands of rows per
 * commit, an eighth of Postgres' time was spent on parsing them, most of it on UUIDs. node-postgres sends a Buffer as
 * a binary parameter.
 *
 * The form is that of `array_recv`: dimensions, whether there are nulls, the elements' type, length and lower bound;
 * then each element, preceded by its length (PostgreSQL 18, src/backend/utils/adt/arrayfuncs.c).
 */

/** The OIDs of the elements' types (src/include/catalog/pg_type.dat), and how each is written. */
const types = {
  text: { oid: 25, write: (value: string) => writeText(value) },
  /** As the text of a JSON document, after the version of the format. */
  jsonb: {
    oid: 3802,
    write: (value: string) => {
      bytes[end] = 1;
      end += 1;
      writeText(value);
    },
  },
  uuid: { oid: 2950, write: (value: string) => writeUuid(value) },
  bytea: { oid: 17, write: (value: Buffer) => writeBytes(value) },
  int4: { oid: 23, write: (value: number) => writeInt32(value) },
  int8: { oid: 20, write: (value: bigint) => writeInt64(value) },
  timestamptz: { oid: 1184, write: (value: Date) => writeInstant(value) },
} satisfies Record<string, { oid: number; write(value: never): void }>;

type Types = typeof types;
type ElementType = keyof Types;
type Element<T extends ElementType> = Parameters<Types[T]['write']>[0];

/**
 * The current buffer. It grows when it is full. Nothing is awaited while an array is written, so one buffer is enough.
 */
let bytes = Buffer.allocUnsafe(65_536);
let end = 0;

/**
 * One column of rows as an array.
 * @param type  the elements' type in Postgres
 * @param pick  the column's value in a row; null or undefined is NULL
 */
export function binaryColumn<T extends ElementType, R>(
  type: T,
  rows: readonly R[],
  pick: (row: R) => Element<T> | null | undefined,
): Buffer {
  const { oid, write } = types[type] as { oid: number; write(value: Element<T>): void };
  end = 0;
  reserve(20);
  writeInt32(rows.length === 0 ? 0 : 1);
  writeInt32(1);
  writeInt32(oid);
  if (rows.length > 0) {
    writeInt32(rows.length);
    writeInt32(1);
  }
  for (const row of rows) {
    const value = pick(row);
    reserve(20);
    const start = end;
    end += 4;
    if (value === null || value === undefined) {
      bytes.writeInt32BE(-1, start);
    } else {
      write(value);
      bytes.writeInt32BE(end - start - 4, start);
    }
  }
  return Buffer.from(bytes.subarray(0, end));
}

/** Makes room for this many bytes. */
function reserve(length: number): void {
  if (end + length <= bytes.length) return;
  const larger = Buffer.allocUnsafe(2 * (end + length));
  bytes.copy(larger, 0, 0, end);
  bytes = larger;
}

function writeInt32(value: number): void {
  bytes.writeInt32BE(value, end);
  end += 4;
}

function writeInt64(value: bigint): void {
  bytes.writeBigInt64BE(value, end);
  end += 8;
}

function writeText(value: string): void {
  reserve(3 * value.length);
  end += bytes.write(value, end);
}

function writeBytes(value: Buffer): void {
  reserve(value.length);
  end += value.copy(bytes, end);
}

/** Microseconds since 2000, exact in a double until the year 2285. */
function writeInstant(value: Date): void {
  const microseconds = (value.getTime() - millennium) * 1_000;
  bytes.writeInt32BE(Math.floor(microseconds / 2 ** 32), end);
  bytes.writeInt32BE(microseconds | 0, end + 4);
  end += 8;
}

const millennium = Date.UTC(2000, 0, 1);

/** @throws Error if it is not a UUID in its usual form, in lower or upper case */
function writeUuid(value: string): void {
  let digits = 0;
  let byte = 0;
  for (let index = 0; index < value.length; index += 1) {
    const code = value.charCodeAt(index);
    if (code === dash) continue;
    const digit = hexDigits[code] ?? notHex;
    if (digit === notHex || digits === 32) throw new Error('this is not a UUID');
    byte = (byte << 4) | digit;
    digits += 1;
    if (digits % 2 === 0) {
      bytes[end] = byte & 0xff;
      end += 1;
    }
  }
  if (digits !== 32) throw new Error('this is not a UUID');
}

const dash = '-'.charCodeAt(0);
const notHex = 255;
const hexDigits = new Uint8Array(128).fill(notHex);
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  hexDigits[digit.charCodeAt(0)] = value;
  hexDigits[digit.toUpperCase().charCodeAt(0)] = value;
}
