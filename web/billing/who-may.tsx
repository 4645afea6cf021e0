import type { MyTeam, Role } from '../data/teams.ts';
import { useNamesOf } from '../data/use-names-of.ts';
import { useLanguage } from '../i18n/language.tsx';

/** In the place of a control that the reader's role may not use: who may, by name. */
export function WhoMay({
  team,
  what,
  roles = ['owner', 'billing'],
}: {
  team: MyTeam;
  /** What the reader may not do, as the beginning of the sentence. */
  what: string;
  roles?: readonly Role[];
}) {
  const { t } = useLanguage();
  const names = useNamesOf(team.id, roles);
  return <p className="min-h-6 text-sm text-muted">{names && t('ask', { what, names })}</p>;
}
