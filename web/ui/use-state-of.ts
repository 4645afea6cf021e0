import { useState } from 'react';

/**
 * State that starts anew when its source changes. Unlike a component with another `key`, the form stays mounted: it keeps the
 * focus and says "Saved".
 */
export function useStateOf<T>(source: string, start: () => T): [state: T, setState: (value: T) => void] {
  const [stored, setStored] = useState(() => ({ source, value: start() }));
  const current = stored.source === source ? stored : { source, value: start() };
  if (current !== stored) setStored(current);
  return [current.value, (value) => setStored({ source, value })];
}
