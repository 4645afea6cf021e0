import type { MyTeam } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Card } from '../ui/card.tsx';

/** Team Settings → Usage. */
export function UsagePage({ team }: { team: MyTeam }) {
  const { t } = useLanguage();
  return <Card title={team.name}>{t('usage.soon')}</Card>;
}
