import { Link } from 'wouter';
import type { MyTeam } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Preferences } from './preferences.tsx';
import { type Section, sections } from './sections.ts';
import { TeamSwitcher } from './team-switcher.tsx';

export function PageHeader({
  teams,
  teamId,
  team,
  section,
}: {
  teams: readonly MyTeam[];
  teamId: string;
  team: MyTeam | undefined;
  section: Section;
}) {
  const { t } = useLanguage();
  return (
    <header className="border-b border-line bg-surface">
      <a
        href="#main"
        className="sr-only focus:not-sr-only focus:absolute focus:z-10 focus:m-2 focus:rounded focus:bg-surface focus:p-2"
      >
        {t('nav.skip')}
      </a>
      <div className="mx-auto flex max-w-5xl flex-wrap items-center gap-x-5 px-4 sm:px-6">
        <div className="flex min-h-14 items-center">
          <TeamSwitcher teams={teams} team={team} section={section} />
        </div>
        <nav
          aria-label={t('nav.label')}
          className="order-last flex min-h-[46px] basis-full gap-5 sm:order-none sm:basis-auto"
        >
          {sections.map((one) => (
            <Link
              key={one}
              href={`/teams/${teamId}/${one}`}
              aria-current={one === section ? 'page' : undefined}
              className="border-b-2 border-transparent py-3 text-sm font-medium text-muted hover:text-ink aria-[current=page]:border-accent aria-[current=page]:text-ink sm:py-4"
            >
              {t(`nav.${one}`)}
            </Link>
          ))}
        </nav>
        <div className="ms-auto flex items-center">
          <Preferences />
        </div>
      </div>
    </header>
  );
}
