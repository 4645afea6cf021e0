import { useCallback, useEffect, useMemo } from 'react';
import { useLocation } from 'wouter';
import { useSearch } from 'wouter/use-browser-location'; // wouter's other one decodes the query once too often
import { readersTimezone } from '../i18n/language.tsx';
import { parseViewState, type ViewState, writeViewState } from './view-state.ts';

/** The view in the URL, and a function that changes it. A change is an entry of the browser's history unless it replaces one. */
export function useViewState(): [
  ViewState,
  (change: Partial<ViewState>, options?: { replace: boolean }) => void,
] {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const state = useMemo(() => parseViewState(new URLSearchParams(search), readersTimezone()), [search]);
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
