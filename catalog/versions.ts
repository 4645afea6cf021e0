import type { EntityManager } from '@mikro-orm/postgresql';
import type { Database } from '../database/connection.ts';
import { CatalogVersion } from '../database/entities/catalog-version.ts';
import { readOnce } from '../database/read-once.ts';
import { DomainError } from '../domain-error.ts';
import { checkCatalogSuccession } from './check-catalog-succession.ts';
import { catalogDocument, parseCatalog } from './load-catalog.ts';
import type { Catalog } from './schema.ts';

export interface PublishedCatalog {
  catalogVersion: number;
  catalog: Catalog;
}

/** How long a process may use its cached version after a newer one is published, in milliseconds. */
const stalenessMs = 1_000;

/**
 * The newest published catalog, cached for at most a second, so that the hot path needs no query.
 * @param source  the transaction's EntityManager inside a transaction, else the database
 * @throws DomainError `catalog_not_published`
 */
export async function readCatalog(source: EntityManager | Database): Promise<PublishedCatalog> {
  const driver = 'orm' in source ? source.orm.em.getDriver() : source.getDriver();
  const known = newest.get(driver);
  if (known && performance.now() - known.readAt < stalenessMs) return known.published;
  // The query of a transaction is not shared, because it fails with its transaction.
  const published = await ('orm' in source
    ? readShared(source.fork(), known?.published)
    : readNewest(source, known?.published));
  if (!published) throw notPublished();
  newest.set(driver, { readAt: performance.now(), published });
  return published;
}

/** The catalog with this version number, from which a grant, an order or a hold was made. */
export async function readCatalogVersion(em: EntityManager, version: number): Promise<Catalog> {
  const catalog = await findCatalogVersion(em, version);
  if (!catalog) throw new Error(`there is no catalog version ${version}`);
  return catalog;
}

/**
 * The catalog with this version number; null if there is none. A version never changes, so each process reads it once.
 */
export async function findCatalogVersion(em: EntityManager, version: number): Promise<Catalog | null> {
  const known = parsed.get(em.getDriver()) ?? new Map<number, Catalog>();
  parsed.set(em.getDriver(), known);
  const catalog = known.get(version) ?? (await parseVersion(em, version));
  if (catalog) known.set(version, catalog);
  return catalog;
}

/**
 * The catalog that was published at an instant, or the first one if none was published yet.
 * @throws DomainError `catalog_not_published`
 */
export async function readCatalogAt(em: EntityManager, at: Date): Promise<PublishedCatalog> {
  const versions = await listCatalogVersions(em);
  const found = versions.findLast(({ publishedMs }) => publishedMs <= at.getTime()) ?? versions[0];
  if (!found) throw notPublished();
  return { catalogVersion: found.version, catalog: await readCatalogVersion(em, found.version) };
}

/** The published versions in ascending order. A time with a fraction of a millisecond is rounded up. */
export const listCatalogVersions = readOnce((em) =>
  em.execute<{ version: number; publishedMs: number }[]>(
    `select version, ceil(extract(epoch from published_at) * 1000)::float8 as "publishedMs"
       from catalog_versions order by version`,
  ),
);

/**
 * Stores a catalog as the next version. An unchanged catalog creates no version.
 * @throws DomainError `catalog_breaks_previous` if a key that was in use is missing
 */
export async function publishCatalog(
  database: Database,
  catalog: Catalog,
): Promise<{ catalogVersion: number; published: boolean }> {
  const document = catalogDocument(catalog);
  return database.transaction(async (em) => {
    await em.execute(`select pg_advisory_xact_lock(hashtext('catalog:publish'))`); // one publisher at a time; readers are not blocked
    const previous = await readNewest(em);
    if (previous) {
      if (JSON.stringify(catalogDocument(previous.catalog)) === JSON.stringify(document)) {
        return { catalogVersion: previous.catalogVersion, published: false };
      }
      checkCatalogSuccession(previous.catalog, catalog);
    }
    const catalogVersion = previous ? previous.catalogVersion + 1 : 1;
    await em.execute('insert into catalog_versions (version, document) values (?, ?::jsonb)', [
      catalogVersion,
      JSON.stringify(document),
    ]);
    return { catalogVersion, published: true };
  });
}

function notPublished(): DomainError {
  return new DomainError(
    'catalog_not_published',
    'No catalog has been published yet: run npm run catalog:publish',
  );
}

/** Both caches are per connection, because a process may have several databases (tests do). */
const newest = new WeakMap<object, { readAt: number; published: PublishedCatalog }>();
const parsed = new WeakMap<object, Map<number, Catalog>>();

async function parseVersion(em: EntityManager, version: number): Promise<Catalog | null> {
  const row = await em.findOne(CatalogVersion, { version });
  return row && parseCatalog(row.document, `catalog version ${version}`);
}

/** Concurrent callers that find the cache stale share one query. */
function readShared(em: EntityManager, known?: PublishedCatalog): Promise<PublishedCatalog | null> {
  const driver = em.getDriver();
  const underWay = reading.get(driver) ?? readNewest(em, known).finally(() => reading.delete(driver));
  reading.set(driver, underWay);
  return underWay;
}

const reading = new WeakMap<object, Promise<PublishedCatalog | null>>();

async function readNewest(em: EntityManager, known?: PublishedCatalog): Promise<PublishedCatalog | null> {
  const [row] = await em.execute<{ version: number }[]>(
    'select max(version) as version from catalog_versions',
  );
  if (!row?.version) return null;
  if (row.version === known?.catalogVersion) return known;
  return { catalogVersion: row.version, catalog: await readCatalogVersion(em, row.version) };
}
