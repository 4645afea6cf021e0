/** A line of a CSV file: RFC 4180, with CRLF. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

/** True if Accept names CSV and not JSON. */
export function wantsCsv(accept = ''): boolean {
  return /\btext\/csv\b/i.test(accept) && !/\bapplication\/json\b/i.test(accept);
}

export const csvType = 'text/csv; charset=utf-8; header=present';

/**
 * Spreadsheets run a cell that begins like a formula. An apostrophe before it makes it text
 * (https://owasp.org/www-community/attacks/CSV_Injection). Where the comma is the decimal sign, as in German, they also begin
 * a cell after a semicolon, even within quotes.
 */
function csvCell(text: string): string {
  const harmless = text.replace(/^(?=[=+\-@\t\r])|(?<=;)(?=[\s"]*[=+\-@\t\r])/g, "'");
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
