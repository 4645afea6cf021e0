import { useEffect, useState } from 'react';

const everyMs = 300_000;

/** The current time in milliseconds since 1970, in steps of five minutes. */
export function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, []);
  return now;
}
