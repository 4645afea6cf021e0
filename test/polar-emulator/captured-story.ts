import { readFileSync } from 'node:fs';

/**
 * Stories captured from Polar's own server (August 2026), reduced to facts: event types, keys, null fields, statuses
 * and amounts. An object that occurs more than once in a story is in `objects` under its `#name`.
 */
export interface CapturedStory {
  events: [type: string, data: Shape][];
}

/** The compared form of a payload: `"filled"` for any text, `"number"` for any number that is not an amount. */
export type Shape = null | boolean | number | string | Shape[] | { [key: string]: Shape };

export function readCaptured(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`captured/${name}.json`, import.meta.url), 'utf8'));
}

export function readStory(name: string): CapturedStory {
  const { objects, events } = readCaptured(name) as {
    objects: Record<string, Shape>;
    events: [string, Shape][];
  };
  const expand = (shape: Shape): Shape => {
    if (typeof shape === 'string' && shape.startsWith('#')) return expand(objects[shape] ?? null);
    if (Array.isArray(shape)) return shape.map(expand);
    if (shape === null || typeof shape !== 'object') return shape;
    return Object.fromEntries(Object.entries(shape).map(([key, value]) => [key, expand(value)]));
  };
  return { events: events.map(([type, data]) => [type, expand(data)]) };
}

const WORDS = [
  ...['status', 'billing_reason', 'reason', 'type', 'role', 'recurring_interval', 'currency', 'duration'],
  ...['payment_processor', 'tax_behavior', 'source', 'amount_type', 'visibility', 'proration_behavior'],
];
const UUID = /^[0-9a-f-]{36}$/;
const OPAQUE = ['metadata', 'payment_processor_metadata', 'customer_metadata', 'custom_field_data'];

/** The same form of a payload of the emulator. */
export function shapeOf(value: unknown, key = ''): Shape {
  if (value === null || value === undefined) return null;
  if (OPAQUE.includes(key)) return 'object';
  if (Array.isArray(value)) {
    return value.map((each) => (typeof each === 'object' ? shapeOf(each, key) : 'filled'));
  }
  if (typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => [UUID.test(name) ? 'product' : name, shapeOf(each, name)]),
    );
  }
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    return key.endsWith('amount') && key !== 'platform_fee_amount' ? value : 'number';
  }
  return WORDS.includes(key) ? String(value) : 'filled';
}

/**
 * The differences between `here` and the captured form, one short sentence per field, with the name of the object that
 * contains it: `order.user_id is missing`, `customer.locale is null, was "filled"`.
 */
export function differences(captured: Shape, here: Shape, name: string): string[] {
  if (isObject(captured) && isObject(here)) {
    return [...new Set([...Object.keys(captured), ...Object.keys(here)])].flatMap((key) => {
      if (!(key in here)) return [`${name}.${key} is missing`];
      if (!(key in captured)) return [`${name}.${key} is new`];
      const [was, is] = [captured[key] ?? null, here[key] ?? null];
      if (isObject(was) && isObject(is)) return differences(was, is, key);
      if (Array.isArray(was) && Array.isArray(is)) return differences(was, is, `${name}.${key}`);
      return same(was, is) ? [] : [`${name}.${key} is ${text(is)}, was ${text(was)}`];
    });
  }
  if (Array.isArray(captured) && Array.isArray(here)) {
    if (captured.length !== here.length)
      return [`${name} has ${here.length} entries, had ${captured.length}`];
    // Polar's order lines have no fixed order, so they are compared by amount.
    const [was, is] = [sorted(captured), sorted(here)];
    const one = name.replace(/^.*\./, '').replace(/s$/, '');
    return was.flatMap((each, index) => differences(each, is[index] ?? null, one));
  }
  return same(captured, here) ? [] : [`${name} is ${text(here)}, was ${text(captured)}`];
}

const isObject = (shape: Shape): shape is { [key: string]: Shape } =>
  shape !== null && typeof shape === 'object' && !Array.isArray(shape);
const same = (a: Shape, b: Shape) => JSON.stringify(a) === JSON.stringify(b);
const text = (shape: Shape) => (isObject(shape) ? 'an object' : JSON.stringify(shape));
const sorted = (shapes: Shape[]) =>
  [...shapes].sort((a, b) => amountOf(a) - amountOf(b) || orderOf(a).localeCompare(orderOf(b)));
const amountOf = (shape: Shape) => (isObject(shape) && typeof shape.amount === 'number' ? shape.amount : 0);
const orderOf = (shape: Shape) => String(isObject(shape) ? shape.proration : '');
