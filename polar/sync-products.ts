import type { models, Polar } from '@polar-sh/sdk/2026-10';
import type { Catalog, Pack, Plan } from '../catalog/schema.ts';
import { readCatalog } from '../catalog/versions.ts';
import { type Database, readClock } from '../database/connection.ts';
import { PolarProduct } from '../database/entities/polar-product.ts';
import { isLockTimeout } from '../database/errors.ts';
import { DomainError } from '../domain-error.ts';
import { callPolar, readAll } from './client.ts';

export interface ProductSync {
  catalogVersion: number;
  steps: SyncStep[];
  /** Settings and products of the Polar organisation that do not fit the catalog's policies. */
  warnings: string[];
}

/** One step that makes Polar's product equal to the catalog. `differences` are lines to print. */
export type SyncStep =
  | { kind: 'create'; key: string; differences: string[]; body: models.ProductCreate }
  | { kind: 'update'; key: string; productId: string; differences: string[]; body: models.ProductUpdate }
  | { kind: 'archive'; key: string; productId: string; differences: string[] }
  | { kind: 'keep'; key: string; productId: string };

/**
 * Makes Polar's products equal to the newest published catalog. Products are found by `metadata.catalog_key`, so a
 * second run changes nothing, and a run with a new database finds the products of an earlier one. Afterwards our
 * database knows the catalog key of each product, and events that were parked as `unknown_product` are due.
 *
 * @param apply  false: only returns the steps
 * @throws DomainError `catalog_not_published`, `sync_running`; as `callPolar`. Completed steps stay; run it again
 */
export async function syncProducts(
  polar: Polar,
  database: Database,
  { apply }: { apply: boolean },
): Promise<ProductSync> {
  const { catalogVersion, catalog } = await readCatalog(database);
  if (!apply) {
    const { steps, warnings } = planProductSync(catalog, await listProducts(polar));
    return {
      catalogVersion,
      steps,
      warnings: [...warnings, ...(await checkOrganization(polar, catalog))],
    };
  }
  // Two runs at once would both create the missing products. This is a session lock: no transaction is open meanwhile.
  const lock = await database.pool.connect();
  try {
    await lock.query(`select pg_advisory_lock(hashtext('polar:sync'))`).catch((error: unknown) => {
      if (!isLockTimeout(error)) throw error;
      throw new DomainError(
        'sync_running',
        'Another npm run polar:sync is running: run this one again after it has ended',
      );
    });
    const products = await listProducts(polar);
    const { steps, warnings } = planProductSync(catalog, products);
    const links: { polarProductId: string; catalogKey: string }[] = [];
    for (const step of steps) {
      links.push({ polarProductId: await applyStep(polar, step, products), catalogKey: step.key });
    }
    await storeLinks(database, links);
    return {
      catalogVersion,
      steps,
      warnings: [...warnings, ...(await checkOrganization(polar, catalog))],
    };
  } finally {
    lock.release(true); // ends the session, and with it the lock
  }
}

/**
 * Returns the steps, without executing them. A product with the same key and interval is ours. Polar cannot change a
 * product's interval, so a product with another interval is archived and replaced.
 */
export function planProductSync(
  catalog: Catalog,
  products: readonly models.Product[],
): { steps: SyncStep[]; warnings: string[] } {
  const steps: SyncStep[] = [];
  const warnings: string[] = [];
  for (const item of [...catalog.plans, ...catalog.packs]) {
    const sameKey = products.filter((product) => product.metadata.catalog_key === item.key);
    const fitting = sameKey.filter((product) => fits(product, item)).sort(livingThenOldest);
    const [ours, ...others] = fitting;
    const superseded = [...sameKey.filter((product) => !fits(product, item)), ...others];

    for (const product of superseded) {
      const difference = `${product.name}: superseded`;
      steps.push(
        product.is_archived
          ? { kind: 'keep', key: item.key, productId: product.id }
          : { kind: 'archive', key: item.key, productId: product.id, differences: [difference] },
      );
      if (!product.is_archived && fits(product, item)) {
        warnings.push(`Several products at Polar have the key ${item.key}: ${product.id} will be archived.`);
      }
    }
    // The last step of its key, because the product that is stored last is the one that is sold.
    const step = ours ? planUpdate(item, ours) : item.archived ? undefined : planCreate(item);
    if (step) steps.push(step);
  }
  const keys = new Set([...catalog.plans, ...catalog.packs].map(({ key }) => key));
  for (const { id, name, is_archived, metadata } of products) {
    if (is_archived || (typeof metadata.catalog_key === 'string' && keys.has(metadata.catalog_key))) continue;
    warnings.push(
      `Polar sells ${JSON.stringify(name)} (${id}), which is not in the catalog: we grant nothing for its orders.`,
    );
  }
  return { steps, warnings };
}

/** Settings of the organisation with which Polar would not follow the catalog's policies. */
function unexpectedSettings(organization: models.Organization, catalog: Catalog): string[] {
  const { subscription_settings: subscription, customer_portal_settings: portal } = organization;
  const { upgradeProration, downgradeProration } = catalog.policies;
  const unexpected: string[] = [];
  const expect = (name: string, found: unknown, expected: unknown, why: string) => {
    if (found === undefined || found === null || found === expected) return;
    unexpected.push(`${name} is ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}: ${why}`);
  };
  expect(
    'subscription_settings.allow_multiple_subscriptions',
    subscription?.allow_multiple_subscriptions,
    false,
    'a team has one subscription at a time',
  );
  expect(
    'subscription_settings.proration_behavior',
    subscription?.proration_behavior,
    upgradeProration,
    'plan changes in the portal must be charged like upgrades by our API',
  );
  if (portal?.subscription?.update_plan === true && subscription?.allow_customer_updates !== false) {
    unexpected.push(
      'customer_portal_settings.subscription.update_plan is true: plan changes in the portal, including downgrades, use ' +
        `the organisation's proration; our API uses ${downgradeProration} for a downgrade`,
    );
  }
  expect(
    'feature_settings.member_model_enabled',
    organization.feature_settings?.member_model_enabled,
    true,
    'owners, admins and billing members open the portal as themselves',
  );
  expect(
    'default_presentment_currency',
    organization.default_presentment_currency,
    'usd',
    'prices are in US dollars',
  );
  expect(
    'capabilities.checkout_payments',
    organization.capabilities?.checkout_payments,
    true,
    'Polar must accept payments for this organisation',
  );
  expect(
    'capabilities.subscription_renewals',
    organization.capabilities?.subscription_renewals,
    true,
    'Polar must renew subscriptions of this organisation',
  );
  return unexpected;
}

function planCreate(item: Plan | Pack): SyncStep {
  const shared = {
    name: item.name,
    description: item.description,
    metadata: { catalog_key: item.key },
    prices: [fixedPrice(item)],
  };
  const interval = intervalOf(item);
  return {
    kind: 'create',
    key: item.key,
    differences: [
      `name: ${item.name}`,
      `price: ${showPrice(item)}`,
      ...(interval ? [`every ${interval}`] : []),
    ],
    body: interval
      ? { ...shared, recurring_interval: interval, recurring_interval_count: 1 }
      : { ...shared, recurring_interval: null },
  };
}

function planUpdate(item: Plan | Pack, product: models.Product): SyncStep {
  const { key } = item;
  const productId = product.id;
  if (item.archived) {
    if (product.is_archived) return { kind: 'keep', key, productId };
    return { kind: 'archive', key, productId, differences: [`${product.name}: archived in the catalog`] };
  }
  const body: models.ProductUpdate = {};
  const differences: string[] = [];
  const price = describePrices(product);
  if (product.name !== item.name) {
    body.name = item.name;
    differences.push(`name: ${product.name} → ${item.name}`);
  }
  if ((product.description ?? '') !== item.description) {
    body.description = item.description;
    differences.push(`description: ${product.description ?? '(none)'} → ${item.description}`);
  }
  if (price !== showPrice(item)) {
    body.prices = [fixedPrice(item)];
    differences.push(`price: ${price} → ${showPrice(item)}, for new subscriptions and orders`);
  }
  if (product.is_archived) {
    body.is_archived = false;
    differences.push('archived → sold again');
  }
  if (differences.length === 0) return { kind: 'keep', key, productId };
  return { kind: 'update', key, productId, differences, body };
}

/** Executes the step and returns the id of its product. */
async function applyStep(polar: Polar, step: SyncStep, before: readonly models.Product[]): Promise<string> {
  switch (step.kind) {
    case 'keep':
      return step.productId;
    case 'create': {
      const made = await callPolar(
        'change',
        () => polar.products.create(step.body),
        async () =>
          (await listProducts(polar)).find(
            ({ id, metadata }) =>
              metadata.catalog_key === step.key && !before.some((product) => product.id === id),
          ),
      );
      return made.id;
    }
    case 'update':
      await callPolar('change', () => polar.products.update(step.productId, step.body));
      return step.productId;
    case 'archive':
      await callPolar('change', () => polar.products.update(step.productId, { is_archived: true }));
      return step.productId;
  }
}

/** In the order of the steps: of two products with the same key, the later one is sold. */
async function storeLinks(
  database: Database,
  links: readonly { polarProductId: string; catalogKey: string }[],
): Promise<void> {
  await database.transaction(async (em) => {
    const now = (await readClock(em)).getTime();
    for (const [index, link] of links.entries()) {
      await em.upsert(PolarProduct, { ...link, syncedAt: new Date(now + index) });
    }
    // The same as `retryParked` in inbox/ for all events with this code.
    await em.execute(
      `update inbox set next_signal_at = clock_timestamp() where status = 'parked' and parked_code = 'unknown_product'`,
    );
  });
}

async function listProducts(polar: Polar): Promise<models.Product[]> {
  return callPolar('read', () => readAll(polar.products.iterList({ limit: 100 })));
}

async function checkOrganization(polar: Polar, catalog: Catalog): Promise<string[]> {
  // An organisation's access token returns only its own organisation.
  const { items } = await callPolar('read', () => polar.organizations.list({ limit: 1 }));
  return items.flatMap((organization) => unexpectedSettings(organization, catalog));
}

function intervalOf(item: Plan | Pack): Plan['interval'] | null {
  return 'interval' in item ? item.interval : null;
}

function fits(product: models.Product, item: Plan | Pack): boolean {
  return (
    (product.recurring_interval ?? null) === intervalOf(item) && (product.recurring_interval_count ?? 1) === 1
  );
}

function livingThenOldest(a: models.Product, b: models.Product): number {
  return Number(a.is_archived) - Number(b.is_archived) || Date.parse(a.created_at) - Date.parse(b.created_at);
}

function fixedPrice({ price }: Plan | Pack) {
  return { amount_type: 'fixed' as const, price_currency: price.currency, price_amount: price.cents };
}

function showPrice({ price }: Plan | Pack): string {
  return showCents(price.cents, price.currency);
}

/**
 * The product's prices as text. Equal to {@link showPrice} only if it has exactly the one fixed price of the catalog.
 */
function describePrices(product: models.Product): string {
  const prices = product.prices.filter(({ is_archived }) => !is_archived);
  const shown = prices.map((price) =>
    price.amount_type === 'fixed' ? showCents(price.price_amount, price.price_currency) : price.amount_type,
  );
  return shown.join(' + ') || 'none';
}

function showCents(cents: number, currency: string): string {
  return `${(cents / 100).toFixed(2)} ${currency.toUpperCase()}`;
}
