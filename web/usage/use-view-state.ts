import { useCallback, useEffect, useMemo } from 'react';
import { useLocation, useSearch } from 'wouter';
import { parseViewState, type ViewState, writeViewState } from './view-state.ts';

/** The view in the URL, and a function that changes it. A change is an entry of the browser's history unless it replaces one. */
export function useViewState(): [
  ViewState,
  (change: Partial<ViewState>, options?: { replace: boolean }) => void,
] {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const state = useMemo(() => parseViewState(new URLSearchParams(search), ownZone()), [search]);
  const change = useCallback(
    (part: Partial<ViewState>, options = { replace: false }) =>
      navigate(`${path}?${writeViewState({ ...state, ...part })}`, options),
    [navigate, path, state],
  );
  const namesZone = new URLSearchParams(search).has('zone');
  useEffect(() => {
    if (!namesZone) change({}, { replace: true });
  }, [namesZone, change]);
  return [state, change];
}

function ownZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
