import { type ReactNode, useState } from 'react';

/** A row of a name and a value that opens what the value is made of. The contents are made when it is first opened. */
export function Opens({ name, value, children }: { name: ReactNode; value: ReactNode; children: ReactNode }) {
  const [wasOpened, setWasOpened] = useState(false);
  return (
    <details
      className="group py-2.5"
      onToggle={({ currentTarget }) => currentTarget.open && setWasOpened(true)}
    >
      <summary className="flex cursor-pointer list-none items-baseline justify-between gap-4 rounded text-sm">
        <span>
          <span
            aria-hidden
            className="me-2 inline-block text-muted transition-transform group-open:rotate-90 rtl:-scale-x-100"
          >
            ›
          </span>
          {name}
        </span>
        <span>{value}</span>
      </summary>
      <div className="ms-4 mt-2 rounded-lg bg-sunken px-4 py-2">{wasOpened && children}</div>
    </details>
  );
}
