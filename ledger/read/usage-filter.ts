/** Which usage events are meant. Null: events without a value. Several conditions must all be true. */
export interface UsageFilter {
  action?: string | undefined;
  /** The AI model of the action, in the event's price version. */
  model?: string | null | undefined;
  member?: string | null | undefined;
  key?: string | null | undefined;
  run?: string | null | undefined;
  step?: string | null | undefined;
  /** A tag and its value. Null: events without this tag. */
  tag?: { name: string; value: string | null } | undefined;
}

/**
 * SQL for the conditions of a filter on `usage_events e`: each begins with `and`.
 * @param values  the statement's parameters, to which the filter's values are added
 */
export function filterSql(filter: UsageFilter, values: unknown[]): string {
  const parameter = (value: unknown) => `$${values.push(value)}`;
  const equals = (column: string, value: string | null) =>
    value === null ? `and ${column} is null` : `and ${column} = ${parameter(value)}`;
  return [
    ...columns.flatMap(([field, column]) => {
      const value = filter[field];
      return value === undefined ? [] : equals(column, value);
    }),
    ...(filter.tag === undefined
      ? []
      : [equals(`e.tags ->> ${parameter(filter.tag.name)}::text`, filter.tag.value)]),
    ...(filter.model === undefined ? [] : [modelSql(filter.model, parameter)]),
  ].join('\n              ');
}

const columns = [
  ['action', 'e.action'],
  ['member', 'e.member_id'],
  ['key', 'e.api_key_id'],
  ['run', 'e.run_id'],
  ['step', 'e.step_id'],
] as const;

/** The prices of all versions that have this model. Null: those without a model. */
function modelSql(model: string | null, parameter: (value: unknown) => string): string {
  const matches = model === null ? `price ->> 'model' is null` : `price ->> 'model' = ${parameter(model)}`;
  return `and (e.price_version, e.action) in (
                select version, price ->> 'action' from catalog_versions, jsonb_array_elements(document -> 'prices') as price
                 where ${matches})`;
}
