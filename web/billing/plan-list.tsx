import type { Schema } from '../data/schema.ts';
import type { MyTeam } from '../data/teams.ts';
import { formatCredits } from '../format/credits.ts';
import { formatMoney } from '../format/money.ts';
import { useLanguage } from '../i18n/language.tsx';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button } from '../ui/button.tsx';
import { useCheckout } from './use-checkout.ts';

/** The plans that are sold. Without a current plan a choice opens Polar's checkout. */
export function PlanList({
  team,
  plans,
  current,
  choose,
}: {
  team: MyTeam;
  plans: readonly Schema<'Plan'>[];
  /** The key of the team's plan, or null. */
  current: string | null;
  choose(plan: Schema<'Plan'>): void;
}) {
  const { t, locale } = useLanguage();
  const checkout = useCheckout(team);
  return (
    <>
      <ul className="flex flex-col gap-2">
        {plans.map((plan) => {
          const { key, name, price, interval, allotment } = plan;
          return (
            <li
              key={key}
              className="flex items-center justify-between gap-4 rounded-xl border border-line px-4 py-3"
            >
              <span>
                <strong className="block font-semibold">{name}</strong>
                {/* On a phone one under the other, otherwise with a dot between them. */}
                <span className="block text-sm text-muted sm:inline">
                  {t(interval === 'year' ? 'plan.perYear' : 'plan.perMonth', {
                    price: formatMoney(price.cents, price.currency, locale),
                  })}
                </span>
                <span className="block text-sm text-muted sm:inline sm:before:content-['_·_']">
                  {t(interval === 'year' ? 'plan.creditsYear' : 'plan.creditsMonth', {
                    credits: formatCredits(allotment, locale),
                  })}
                </span>
              </span>
              {key === current ? (
                <span className="shrink-0 text-sm text-muted">{t('plan.current')}</span>
              ) : (
                <Button
                  aria-label={t('plan.chooseNamed', { plan: name })}
                  isPending={checkout.isPending && checkout.variables === key}
                  isDisabled={checkout.isPending && checkout.variables !== key}
                  onPress={() => (current === null ? checkout.mutate(key) : choose(plan))}
                >
                  {t('plan.pick')}
                </Button>
              )}
            </li>
          );
        })}
      </ul>
      <ActionFailed error={checkout.error} />
    </>
  );
}
