import type { MyTeam } from '../data/teams.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Card } from '../ui/card.tsx';

/** The statement of one workflow run. */
export function RunPage({ team, runId }: { team: MyTeam; runId: string }) {
  const { t } = useLanguage();
  return <Card title={t('usage.run', { runId })}>{team.name}</Card>;
}
