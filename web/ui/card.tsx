import { type ReactNode, useId } from 'react';
import { FaultBoundary } from './fault-boundary.tsx';
import { type GuidePlace, HelpLink } from './help-link.tsx';

export interface CardProps {
  title: string;
  /** One sentence under the title. */
  description?: string;
  /** The guide that explains it. */
  help?: GuidePlace;
  /** Buttons beside the title. */
  actions?: ReactNode;
  children: ReactNode;
}

/** A section of the page with its heading. A fault in its contents leaves the heading and the other cards. */
export function Card({ title, description, help, actions, children }: CardProps) {
  const id = useId();
  return (
    <section
      aria-labelledby={id}
      className="rounded-xl border border-line bg-surface p-5 sm:p-6 [&:has([aria-busy=true])]:overflow-hidden"
    >
      <header className="mb-4 flex flex-wrap items-start justify-between gap-x-4 gap-y-3">
        <div>
          <div className="flex items-center gap-2">
            <h2 id={id} className="text-base font-semibold">
              {title}
            </h2>
            {help && <HelpLink {...help} />}
          </div>
          {description && <p className="mt-0.5 text-sm text-muted">{description}</p>}
        </div>
        {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
      </header>
      <FaultBoundary>{children}</FaultBoundary>
    </section>
  );
}
