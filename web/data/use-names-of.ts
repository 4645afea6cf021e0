import { useQuery } from '@tanstack/react-query';
import { useLanguage } from '../i18n/language.tsx';
import { membersQuery } from './team-queries.ts';
import type { Role } from './teams.ts';

/** The names of those in the team who have one of the roles, as a list in the reader's language; empty while unknown. */
export function useNamesOf(teamId: string, roles: readonly Role[]): string {
  const { locale } = useLanguage();
  const { data = [] } = useQuery(membersQuery(teamId));
  const names = data.filter(({ role }) => roles.includes(role)).map(({ name }) => name);
  return new Intl.ListFormat(locale, { type: 'disjunction' }).format(names.slice(0, mostNames));
}

const mostNames = 3;
