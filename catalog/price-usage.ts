import { DomainError } from '../domain-error.ts';
import { DECIMAL_LIMIT, formatCredits, formatDecimal, MICRO } from './credits.ts';
import type { ActionPrice, Catalog } from './schema.ts';

/** The price of `per` units of a meter, in micro-credits. `per` is a power of ten. */
export interface UnitPrice {
  credits: bigint;
  per: bigint;
}

/** One meter's part of a receipt: `quantity` in micro-units, `credits` in micro-credits. */
export interface PricedLine {
  meter: string;
  quantity: bigint;
  unitPrice: UnitPrice;
  credits: bigint;
}

export interface PricedUsage {
  credits: bigint;
  lines: PricedLine[];
}

/**
 * The price of an action's `quantities` (micro-units by meter). Each line is rounded up to the micro-credit, and the
 * total is the sum of the lines. The lines are in the catalog's order.
 * @throws DomainError `unknown_action`, `unknown_meter`, `invalid_quantity` (none at all, or one below zero),
 *   `quantity_too_large` (a quantity or the total reaches 10^12 units or credits)
 */
export function priceUsage(
  catalog: Catalog,
  action: string,
  quantities: Readonly<Record<string, bigint>>,
): PricedUsage {
  const { meters } = findPrice(catalog, action);
  const unknown = Object.keys(quantities).filter((meter) => !meters.some((known) => known.meter === meter));
  if (unknown.length > 0) {
    const known = meters.map(({ meter }) => meter);
    const message = `${action} is not metered by ${unknown.join(', ')}; its meters are ${known.join(', ')}`;
    throw new DomainError('unknown_meter', message, { action, meters: unknown, known });
  }

  const lines: PricedLine[] = [];
  let credits = 0n;
  for (const { meter, credits: price, per } of meters) {
    const quantity = Object.hasOwn(quantities, meter) ? quantities[meter] : undefined;
    if (quantity === undefined) continue;
    if (quantity < 0n) throw invalidQuantity(action, `The quantity of ${meter} must be 0 or more`);
    if (quantity >= DECIMAL_LIMIT) throw tooLarge(action, `The quantity of ${meter} must be below 10^12`);
    const line = {
      meter,
      quantity,
      unitPrice: { credits: price, per },
      credits: costOf(quantity, price, per),
    };
    lines.push(line);
    credits += line.credits;
  }
  if (lines.length === 0) throw invalidQuantity(action, 'At least one quantity is needed');
  if (credits >= DECIMAL_LIMIT) throw tooLarge(action, 'The price of one usage must be below 10^12 credits');
  return { credits, lines };
}

/**
 * The action's prices.
 * @throws DomainError `unknown_action`, also if it is archived
 */
export function findPrice(catalog: Catalog, action: string): ActionPrice {
  const price = catalog.prices.find((candidate) => candidate.action === action);
  if (price && !price.archived) return price;
  throw new DomainError('unknown_action', `There is no price for the action ${JSON.stringify(action)}`, {
    action,
  });
}

/** A line as in the receipt's JSON, all decimal strings. `unitPrice` is the exact price of one unit in credits. */
export function receiptLine({ meter, quantity, unitPrice, credits }: PricedLine) {
  return {
    meter,
    quantity: formatCredits(quantity),
    unitPrice: formatUnitPrice(unitPrice),
    credits: formatCredits(credits),
  };
}

/**
 * The exact price of one unit, in credits: 2.5 per 1,000,000 is `"0.0000025"`. Finite, because `per` is a power of
 * ten.
 */
export function formatUnitPrice({ credits, per }: UnitPrice): string {
  return formatDecimal(credits, 6 + per.toString().length - 1);
}

function costOf(quantity: bigint, price: bigint, per: bigint): bigint {
  const divisor = per * MICRO;
  return (quantity * price + divisor - 1n) / divisor;
}

function invalidQuantity(action: string, message: string): DomainError {
  return new DomainError('invalid_quantity', message, { action });
}

function tooLarge(action: string, message: string): DomainError {
  return new DomainError('quantity_too_large', message, { action });
}
