import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { BillingProblem } from '../../client/index.ts';
import { checkoutQuery } from '../data/team-queries.ts';
import type { MyTeam } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import type { MessageKey } from '../i18n/text.ts';
import { Button } from '../ui/button.tsx';

const pollMs = 2_000;
const slowPollMs = 10_000;
/** How long the credits of a paid checkout normally take at most. */
const patienceMs = 60_000;

/**
 * After a checkout Polar leads back with `?checkout=…`. The page says that it waits, fetches until the credits are granted, and
 * announces it to screen readers. The credits themselves come by the team's event stream.
 */
export function CheckoutReturn({ team }: { team: MyTeam }) {
  const { t } = useLanguage();
  const [search] = useSearchParams();
  const [path, navigate] = useLocation();
  const checkoutId = search.get('checkout');
  const isSlow = usePassed(patienceMs, checkoutId);
  const queryClient = useQueryClient();
  const checkout = useQuery({
    ...checkoutQuery(team.id, checkoutId ?? ''),
    enabled: checkoutId !== null,
    refetchInterval: ({ state }) =>
      isRefused(state.error) || isOver(state.data?.status) ? false : isSlow ? slowPollMs : pollMs,
  });
  const status = checkout.data?.status;
  useEffect(() => {
    if (status === 'granted') void queryClient.invalidateQueries({ queryKey: ['team', team.id] });
  }, [status, queryClient, team.id]);

  const text = checkoutId === null || isRefused(checkout.error) ? undefined : textOf(status, isSlow);
  return (
    <div role="status" className="empty:hidden">
      {text && (
        <div
          className={`flex flex-wrap items-center justify-between gap-3 rounded-xl px-5 py-4 ${status === 'failed' ? 'bg-danger-soft' : 'bg-accent-soft'}`}
        >
          <p className="font-medium">{t(text)}</p>
          {(isSlow || isOver(status)) && (
            <Button onPress={() => navigate(path, { replace: true })}>{t('state.close')}</Button>
          )}
        </div>
      )}
    </div>
  );
}

type CheckoutText = Extract<MessageKey, `checkout.${string}`>;

function textOf(status: string | undefined, isSlow: boolean): CheckoutText {
  if (status === 'granted') return 'checkout.granted';
  if (status === 'failed') return 'checkout.failed';
  return isSlow ? 'checkout.slow' : 'checkout.waiting';
}

/** The team has no such checkout, for example because the address was edited. Waiting does not help. */
function isRefused(error: unknown): boolean {
  return error instanceof BillingProblem && error.status < 500 && !error.retriable;
}

function isOver(status: string | undefined): boolean {
  return status === 'granted' || status === 'failed';
}

/** True after a time since `of` was last changed. */
function usePassed(ms: number, of: string | null): boolean {
  const [passed, setPassed] = useState<string | null>(null);
  useEffect(() => {
    if (of === null) return;
    const timer = setTimeout(() => setPassed(of), ms);
    return () => clearTimeout(timer);
  }, [ms, of]);
  return of !== null && passed === of;
}
