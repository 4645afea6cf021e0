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
    ...filteredColumns.flatMap((field) => {
      const value = filter[field];
      return value === undefined ? [] : equals(eventColumns[field], value);
    }),
    ...(filter.tag === undefined ? [] : [equals(tagSql(parameter(filter.tag.name)), filter.tag.value)]),
    ...(filter.model === undefined ? [] : [modelSql(filter.model, parameter)]),
  ].join('\n              ');
}

/** The columns of `usage_events e` by which usage can be filtered, and grouped except by step. */
export const eventColumns = {
  action: 'e.action',
  member: 'e.member_id',
  key: 'e.api_key_id',
  run: 'e.run_id',
  step: 'e.step_id',
} as const;
const filteredColumns = ['action', 'member', 'key', 'run', 'step'] as const;

/** SQL for the value of a tag of `usage_events e`. @param name  SQL for the tag's name */
export function tagSql(name: string): string {
  return `e.tags ->> ${name}::text`;
}

/** The prices of all versions that have this model. Null: those without a model. */
function modelSql(model: string | null, parameter: (value: unknown) => string): string {
  const matches = model === null ? `price ->> 'model' is null` : `price ->> 'model' = ${parameter(model)}`;
  return `and (e.price_version, e.action) in (
                select version, price ->> 'action' from catalog_versions, jsonb_array_elements(document -> 'prices') as price
                 where ${matches})`;
}
