import type { ReactNode } from 'react';

/** Pairs of a name and a value, one under the other, with lines between them. */
export function Rows({ children }: { children: ReactNode }) {
  return <dl className="divide-y divide-line text-sm">{children}</dl>;
}

export function Row({
  name,
  children,
  isTotal = false,
}: {
  name: ReactNode;
  children: ReactNode;
  isTotal?: boolean;
}) {
  return (
    <div className={`flex items-baseline justify-between gap-4 py-2 ${isTotal ? 'font-semibold' : ''}`}>
      <dt className={isTotal ? '' : 'text-muted'}>{name}</dt>
      <dd className="text-end">{children}</dd>
    </div>
  );
}
