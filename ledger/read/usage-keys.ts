/** The keys by which usage can be grouped, in the order of a report's columns. Tags come after them. */
export const usageKeys = ['day', 'hour', 'action', 'model', 'member', 'key', 'run'] as const;

/** A key, or `tag:{name}`: the value of that tag. */
export type UsageKey = (typeof usageKeys)[number] | `tag:${string}`;

/** The columns of a report: each key once, in the usual order, then the tags as they were requested. */
export function columnsOf(groupBy: readonly UsageKey[]): UsageKey[] {
  const requested = new Set(groupBy);
  const usual = usageKeys.filter((key) => requested.has(key));
  return [...usual, ...[...requested].filter((key) => isTag(key))];
}

/** Whether a key is `tag:{name}`. */
export function isTag(key: UsageKey): key is `tag:${string}` {
  return key.startsWith('tag:');
}
