import { useLanguage } from '../i18n/language.tsx';
import type { MessageKey } from '../i18n/text.ts';

/** The guides of `docs/guides/`, which the build turns into pages. */
export type Guide =
  | 'billing-portal'
  | 'credit-system'
  | 'one-time-purchases'
  | 'subscriptions'
  | 'usage-monitoring';

export interface GuidePlace {
  guide: Guide;
  /** The anchor of a heading. */
  anchor?: string;
}

/** A question mark that opens the guide about this part of the page, in another tab. The guides are in English. */
export function HelpLink({ guide, anchor }: GuidePlace) {
  const { t } = useLanguage();
  const title = t(`guide.${guide}` satisfies MessageKey);
  return (
    <a
      href={`/guides/${guide}${anchor ? `#${anchor}` : ''}`}
      target="_blank"
      rel="noopener"
      hrefLang="en"
      title={title}
      className="inline-grid size-6 shrink-0 place-items-center rounded-full border border-line text-xs font-semibold text-muted hover:border-outline hover:text-ink"
    >
      <span aria-hidden>?</span>
      <span className="sr-only">{title}</span>
    </a>
  );
}
