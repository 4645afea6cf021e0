import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import type { ListPage } from '../database/list-page.ts';
import { type Invoice, listInvoices } from './list-invoices.ts';

export interface InvoiceCache {
  /** As `listInvoices`, but calls Polar once for all requests within five seconds. */
  list(
    polar: Polar,
    database: Database,
    request: { teamId: string; limit?: number; cursor?: string },
  ): Promise<ListPage<Invoice>>;
}

const keptMs = 5_000;
/** A page has up to 100 invoices of about 400 bytes. */
const mostPages = 200;

/**
 * Caches pages of invoices for a moment, because each page takes up to three requests to Polar. A page is dropped as soon as
 * an event of the team is stored, so a list of invoices includes every payment and refund that we know. One cache per process.
 */
export function createInvoiceCache(): InvoiceCache {
  const pages = new Map<string, { page: Promise<ListPage<Invoice>>; until: number }>();

  return {
    async list(polar, database, request) {
      const { teamId, limit, cursor } = request;
      const key = [teamId, limit, cursor, await newestEvent(database, teamId)].join(' ');
      const now = performance.now();
      const kept = pages.get(key);
      if (kept && now < kept.until) return kept.page;
      forgetOld(now);
      const page = listInvoices(polar, database, request);
      pages.set(key, { page, until: now + keptMs });
      page.catch(() => pages.delete(key));
      return page;
    },
  };

  function forgetOld(now: number): void {
    for (const [key, { until }] of pages) {
      if (until > now && pages.size < mostPages) return;
      pages.delete(key);
    }
  }
}

async function newestEvent(database: Database, teamId: string): Promise<string | undefined> {
  const [row] = await database
    .fork()
    .execute<{ id: string }[]>('select id from inbox where team_id = ? order by id desc limit 1', [teamId]);
  return row?.id;
}
