import { useLanguage } from '../i18n/language.tsx';

/** Boxes in the place of a card's contents while it loads. `lines` is as high as the contents, so that nothing moves. */
export function CardSkeleton({ lines = 3 }: { lines?: number }) {
  const { t } = useLanguage();
  return (
    <div role="status" aria-busy="true" aria-label={t('state.loading')} className="flex flex-col gap-3">
      {Array.from({ length: lines }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the boxes are all alike
        <div key={line} className={`skeleton h-5 ${widths[line % widths.length]}`} />
      ))}
    </div>
  );
}

/** A card of which not even the heading is known yet. */
export function LoadingCard({ lines }: { lines: number }) {
  return (
    <div className="rounded-xl border border-line bg-surface p-5 sm:p-6">
      <CardSkeleton lines={lines} />
    </div>
  );
}

const widths = ['w-2/5', 'w-full', 'w-4/5', 'w-3/5'];
