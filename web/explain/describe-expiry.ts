import { formatDay } from '../format/dates.ts';
import type { Translate } from '../i18n/text.ts';

/** When credits expire, in words. */
export function describeExpiry(expiresAt: string | null, t: Translate, locale: string): string {
  return expiresAt === null ? t('grant.never') : t('grant.expires', { date: formatDay(expiresAt, locale) });
}
