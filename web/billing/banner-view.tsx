import { type MyTeam, mayManageBilling } from '../data/teams.ts';
import { useNamesOf } from '../data/use-names-of.ts';
import { formatCredits } from '../format/credits.ts';
import { formatDay } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import type { Translate } from '../i18n/text.ts';
import type { Banner } from './banner.ts';
import { BuyCredits } from './buy-credits.tsx';
import { ManageBilling } from './manage-billing.tsx';
import { ResumePlan } from './resume-plan.tsx';
import { ShowGrants } from './show-grants.tsx';

/** The banner: the fact, its consequence with a date, and one button. A member reads whom to ask. */
export function BannerView({ team, banner }: { team: MyTeam; banner: Banner }) {
  const { t, locale } = useLanguage();
  const names = useNamesOf(team.id, ['owner', 'billing']);
  const { fact, consequence } = describe(banner, t, locale);
  const isBad = banner.kind === 'pastDue' || banner.kind === 'usedUp';
  return (
    <section
      aria-label={t('banner.label')}
      className={`flex flex-wrap items-center justify-between gap-x-6 gap-y-3 rounded-xl px-5 py-4 ${isBad ? 'bg-danger-soft' : 'bg-warning-soft'}`}
    >
      <p className="min-w-0 flex-1 basis-72">
        <strong className={`font-semibold ${isBad ? 'text-danger' : 'text-warning'}`}>{fact}</strong>{' '}
        {consequence}{' '}
        {!mayManageBilling(team) && names && banner.kind !== 'expiring' && t('banner.ask', { names })}
      </p>
      {(mayManageBilling(team) || banner.kind === 'expiring') && <BannerAction team={team} banner={banner} />}
    </section>
  );
}

function BannerAction({ team, banner }: { team: MyTeam; banner: Banner }) {
  switch (banner.kind) {
    case 'pastDue':
      return <ManageBilling team={team} look="primary" />;
    case 'usedUp':
    case 'low':
      return <BuyCredits team={team} />;
    case 'expiring':
      return <ShowGrants />;
    case 'endsOn':
      return <ResumePlan team={team} look="primary" />;
  }
}

function describe(banner: Banner, t: Translate, locale: string): { fact: string; consequence: string } {
  const day = (instant: string) => formatDay(instant, locale);
  const credits = (amount: string) => formatCredits(amount, locale, { digits: 2 });
  switch (banner.kind) {
    case 'pastDue':
      return {
        fact: t('banner.pastDue', { date: day(banner.since) }),
        consequence:
          banner.lastsUntil === null
            ? t('banner.pastDueNext', { credits: credits(banner.credits) })
            : t('banner.pastDueUntil', { credits: credits(banner.credits), date: day(banner.lastsUntil) }),
      };
    case 'usedUp':
      return {
        fact: t('banner.usedUp'),
        consequence: banner.next
          ? t('banner.usedUpNext', { credits: credits(banner.next.credits), date: day(banner.next.at) })
          : t('banner.usedUpNow'),
      };
    case 'low':
      return {
        fact: t('banner.low', { credits: credits(banner.available) }),
        consequence: banner.lastsUntil
          ? t('banner.lowUntil', { date: day(banner.lastsUntil) })
          : t('banner.lowUnused'),
      };
    case 'expiring':
      return {
        fact: t('banner.expiring', { credits: credits(banner.credits), date: day(banner.at) }),
        consequence: t('banner.expiringUnused', { credits: credits(banner.unused) }),
      };
    case 'endsOn':
      return { fact: t('banner.endsOn', { date: day(banner.at) }), consequence: t('banner.endsOnThen') };
  }
}
