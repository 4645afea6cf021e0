/** The sections of a team's pages, in the order of their links. */
export const sections = ['billing', 'usage'] as const;
export type Section = (typeof sections)[number];
