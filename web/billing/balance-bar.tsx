import type { Schema } from '../data/schema.ts';
import { AvailableParts } from '../explain/available-parts.tsx';
import { useLanguage } from '../i18n/language.tsx';
import { Figure } from '../ui/figure.tsx';
import { balanceShares, type Source } from './balance-shares.ts';

export const sourceColor: Record<Source, string> = {
  trial: 'bg-source-trial',
  subscription: 'bg-source-subscription',
  adjustment: 'bg-source-adjustment',
  purchase: 'bg-source-purchase',
};

/** The balance by source: a bar, and its legend with the figures. The bar is decoration, the legend says the same. */
export function BalanceBar({
  teamId,
  bySource,
  grants,
}: {
  teamId: string;
  bySource: Schema<'CreditsBySource'>;
  grants: readonly Schema<'Grant'>[];
}) {
  const { t } = useLanguage();
  const shares = balanceShares(bySource);
  return (
    <>
      <div aria-hidden className="flex h-3 gap-0.5 overflow-hidden rounded-full bg-sunken">
        {shares.map(({ source, thousandths }) => (
          <div key={source} className={sourceColor[source]} style={{ width: `${thousandths / 10}%` }} />
        ))}
      </div>
      <ul className="mt-3 flex flex-wrap gap-x-6 gap-y-1.5 text-sm">
        {shares.map(({ source, credits }) => (
          <li key={source} className="flex items-center gap-2">
            <span aria-hidden className={`size-2.5 rounded-full ${sourceColor[source]}`} />
            <span className="text-muted">{t(`source.${source}`)}</span>
            <Figure credits={credits} title={t(`source.${source}`)}>
              <AvailableParts teamId={teamId} grants={grants.filter((grant) => grant.source === source)} />
            </Figure>
          </li>
        ))}
      </ul>
    </>
  );
}
