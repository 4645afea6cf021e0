import { MICRO, parseDecimal } from '../../catalog/credits.ts';
import { CannotGoOn, type Demo } from './connect.ts';

export type Catalog = Awaited<ReturnType<typeof readCatalog>>;
export type Action = Catalog['prices'][number];

/** The part of the catalog that the demo uses, in micro-credits. */
export async function readCatalog({ billing }: Demo) {
  const { trial, plans, packs, prices, priceVersion } = await billing.GET('/v1/catalog');
  return {
    trial: { credits: parseDecimal(trial.credits) },
    plans: plans.map((plan) => ({ ...plan, allotment: parseDecimal(plan.allotment) })),
    packs: packs.map((pack) => ({ ...pack, credits: parseDecimal(pack.credits) })),
    prices: prices.map(({ action, category, meters }) => ({
      action,
      category,
      meters: meters.map(({ meter, credits, per }) => ({
        meter,
        credits: parseDecimal(credits),
        per: BigInt(per),
      })),
    })),
    priceVersion,
  };
}

/** One usage: an action with a quantity for each of its meters, as decimal strings. */
export interface Consumption {
  action: string;
  quantities: Record<string, string>;
  /** Its price, computed here from the catalog, in micro-credits. */
  credits: bigint;
  lines: { meter: string; quantity: string; credits: bigint }[];
}

/** A monthly plan that grants all of its credits when a cycle is paid, a larger one, and the smallest pack. */
export function chooseProducts({ plans, packs }: Catalog) {
  const plan = plans.find(({ interval, rhythm }) => interval === 'month' && rhythm === 'cycle');
  const pack = packs.toSorted((a, b) => Number(a.credits - b.credits))[0];
  const larger = plans.find(
    (other) => plan && other.interval === 'month' && other.allotment > plan.allotment,
  );
  if (!plan || !pack || !larger) {
    throw new CannotGoOn('The demo needs two monthly plans, the smaller first, and a pack in the catalog');
  }
  return { plan, larger, pack };
}

/** One action of each category, in the catalog's order. */
export function oneOfEachCategory({ prices }: Catalog): Action[] {
  return [...Map.groupBy(prices, ({ category }) => category).values()].flatMap(([first]) => first ?? []);
}

/**
 * The price of an action's quantities by the rules: each line is quantity × price ÷ per, rounded up to the
 * micro-credit, and the total is their sum.
 *
 * @param quantities  decimal strings, in the order of the action's meters
 */
export function consume({ action, meters }: Action, ...quantities: string[]): Consumption {
  const lines = meters.flatMap(({ meter, credits: price, per }, index) => {
    const quantity = quantities[index];
    if (quantity === undefined) return [];
    const divisor = per * MICRO;
    return [{ meter, quantity, credits: (parseDecimal(quantity) * price + divisor - 1n) / divisor }];
  });
  return {
    action,
    quantities: Object.fromEntries(lines.map(({ meter, quantity }) => [meter, quantity])),
    credits: lines.reduce((sum, line) => sum + line.credits, 0n),
    lines,
  };
}

/** The smallest number of whole units of an action's first meter that cost at least this many micro-credits. */
export function consumeAtLeast(action: Action, target: bigint): Consumption {
  const [meter] = action.meters;
  if (!meter) throw new CannotGoOn(`${action.action} has no meter`);
  const units = (target * meter.per + meter.credits - 1n) / meter.credits;
  return consume(action, units.toString());
}
