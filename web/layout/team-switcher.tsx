import { Button, Menu, MenuItem, MenuTrigger, Popover } from 'react-aria-components';
import type { MyTeam } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { menuItemClass, popoverClass } from '../ui/popover.ts';
import type { Section } from './sections.ts';

/** The current team, and a menu of the others in the same section. */
export function TeamSwitcher({
  teams,
  team,
  section,
}: {
  teams: readonly MyTeam[];
  team: MyTeam | undefined;
  section: Section;
}) {
  const { t } = useLanguage();
  if (!team) return <div className="skeleton h-6 w-36" />;
  return (
    <MenuTrigger>
      <Button className="flex max-w-56 items-center gap-2 rounded-lg px-2 py-1.5 -ms-2 text-sm font-semibold hover:bg-sunken">
        <span
          aria-hidden
          className="grid size-6 shrink-0 place-items-center rounded-md bg-accent text-xs text-on-accent"
        >
          {[...team.name][0]?.toUpperCase()}
        </span>
        <span className="truncate">{team.name}</span>
        <span className="sr-only">{t('teams.switch')}</span>
        <span aria-hidden className="text-muted">
          ▾
        </span>
      </Button>
      <Popover className={popoverClass} placement="bottom start">
        <Menu
          aria-label={t('teams.label')}
          className="max-h-80 min-w-56 overflow-y-auto p-1 outline-none"
          selectionMode="single"
          selectedKeys={[team.id]}
        >
          {teams.map(({ id, name, personal, role }) => (
            <MenuItem
              key={id}
              id={id}
              textValue={name}
              href={`/teams/${id}/${section}`}
              className={menuItemClass}
            >
              <span className="min-w-0 flex-1 truncate">{name}</span>
              <span className="text-xs text-muted">
                {personal ? t('teams.personal') : role ? t(`role.${role}`) : ''}
              </span>
            </MenuItem>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
