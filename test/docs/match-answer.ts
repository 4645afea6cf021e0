/** The ids of a document by the ids that they stand for in this run. */
export type Ids = Map<string, string>;

const id = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/;
const instant = /\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z/;
const origin = /https?:\/\/[^/"]+/;
const placeholder = new RegExp(`(${id.source})|(${instant.source})|(${origin.source})|(…)`);

/**
 * The documented answer with the ids of this run, for a comparison. A text matches if it differs only in ids, times, origins and
 * where the document has `…`; then it is taken from the answer. An id of the document stands for one id, wherever it appears. The
 * `attempts` of an event are taken from the answer, because they grow with time.
 */
export function fillIn(documented: unknown, answered: unknown, ids: Ids): unknown {
  if (typeof documented === 'string' && typeof answered === 'string')
    return matches(documented, answered, ids) ? answered : replaceIds(documented, ids);
  if (Array.isArray(documented) && Array.isArray(answered))
    return documented.map((item, index) => fillIn(item, answered[index], ids));
  if (isObject(documented) && isObject(answered))
    return Object.fromEntries(
      Object.entries(documented).map(([name, value]) => [
        name,
        name === 'attempts' && typeof answered[name] === 'number'
          ? answered[name]
          : fillIn(value, answered[name], ids),
      ]),
    );
  return documented;
}

/** @returns the text with the ids of this run */
export function replaceIds(text: string, ids: Ids): string {
  return text.replace(new RegExp(id, 'g'), (documented) => ids.get(documented) ?? documented);
}

function matches(documented: string, answered: string, ids: Ids): boolean {
  const named: string[] = [];
  const pattern = documented
    .split(new RegExp(placeholder, 'g'))
    .filter((part) => part !== undefined)
    .map((part) => {
      if (!placeholder.test(part)) return part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
      if (part === '…') return '.+';
      if (instant.test(part)) return instant.source;
      if (origin.test(part)) return origin.source;
      named.push(part);
      return `(${id.source})`;
    })
    .join('');
  const found = new RegExp(`^${pattern}$`).exec(answered)?.slice(1);
  return found?.every((actual, index) => standsFor(named[index] ?? '', actual, ids)) ?? false;
}

function standsFor(documented: string, actual: string, ids: Ids): boolean {
  const known = ids.get(documented);
  if (known !== undefined) return known === actual;
  if ([...ids.values()].includes(actual)) return false; // another id of the document stands for it
  ids.set(documented, actual);
  return true;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
