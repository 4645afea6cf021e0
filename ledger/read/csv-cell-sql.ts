/** The first characters that make a cell a formula in a spreadsheet, for a character class of a regular expression. */
const starts = String.raw`=+@\t\r-`;
/** The white space of JavaScript's `\s`. That of Postgres depends on the database's locale. */
const space = String.raw`\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff`;

/**
 * SQL for a cell of a CSV file, quoted if necessary and never a formula: what `csvCell` of `api/csv.ts` writes, where the rules
 * are explained. Null is an empty cell.
 * @param text  SQL for a column of type text. It is repeated
 */
export function csvCellSql(text: string): string {
  const harmless = `case when ${text} ~ '^[${starts}]|;'
                         then regexp_replace(${text}, '^(?=[${starts}])|(?<=;)(?=[${space}"]*[${starts}])', '''', 'g')
                         else ${text} end`;
  // Most cells need nothing: one comparison finds them.
  return `case when ${text} is null then ''
               when ${text} !~ '^[${starts}]|[;",\\r\\n]' then ${text}
               when ${text} !~ '[",\\r\\n]' then ${harmless}
               else '"' || replace(${harmless}, '"', '""') || '"' end`;
}
