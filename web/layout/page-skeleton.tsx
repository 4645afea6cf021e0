import { LoadingCard } from '../ui/skeleton.tsx';
import type { Section } from './sections.ts';

/** The first cards of a page, about as high as they will be, while nothing of it is known. */
export function PageSkeleton({ section }: { section: Section }) {
  if (section === 'usage') return <LoadingCard lines={16} />;
  return (
    <>
      <div className="grid items-stretch gap-5 lg:grid-cols-[3fr_2fr]">
        <LoadingCard lines={10} />
        <LoadingCard lines={8} />
      </div>
      <LoadingCard lines={5} />
    </>
  );
}
