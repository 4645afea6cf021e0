import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { catalogQuery } from '../data/team-queries.ts';
import type { MyTeam } from '../data/teams.ts';
import { formatCredits } from '../format/credits.ts';
import { formatMoney } from '../format/money.ts';
import { useLanguage } from '../i18n/language.tsx';
import { ActionFailed } from '../ui/action-failed.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { HelpLink } from '../ui/help-link.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { useCheckout } from './use-checkout.ts';

/** *Buy credits*: the packs, each with its price. A choice opens Polar's checkout. */
export function BuyCredits({ team }: { team: MyTeam }) {
  const { t } = useLanguage();
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button look="primary" onPress={() => setOpen(true)}>
        {t('buy.open')}
      </Button>
      <Dialog title={t('buy.title')} isOpen={isOpen} onClose={() => setOpen(false)}>
        <Packs team={team} />
      </Dialog>
    </>
  );
}

function Packs({ team }: { team: MyTeam }) {
  const { t, locale } = useLanguage();
  const catalog = useQuery(catalogQuery);
  const checkout = useCheckout(team);
  return (
    <>
      <p className="mb-4 flex items-center gap-2 text-sm text-muted">
        {t('buy.text')} <HelpLink guide="one-time-purchases" />
      </p>
      <Loaded query={catalog} lines={6}>
        {({ packs }) => (
          <ul className="flex flex-col gap-2">
            {packs.map(({ key, credits, price }) => (
              <li
                key={key}
                className="flex items-center justify-between gap-4 rounded-xl border border-line px-4 py-3"
              >
                <span>
                  <strong className="block font-semibold">
                    {t('buy.pack', { credits: formatCredits(credits, locale) })}
                  </strong>
                  <span className="text-sm text-muted">
                    {t('buy.price', { price: formatMoney(price.cents, price.currency, locale) })}
                  </span>
                </span>
                <Button
                  aria-label={t('buy.buyPack', { credits: formatCredits(credits, locale) })}
                  isPending={checkout.isPending && checkout.variables === key}
                  isDisabled={checkout.isPending && checkout.variables !== key}
                  onPress={() => checkout.mutate(key)}
                >
                  {t('buy.buy')}
                </Button>
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      <ActionFailed error={checkout.error} />
    </>
  );
}
