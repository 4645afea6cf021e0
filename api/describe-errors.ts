import { type ErrorEntry, errors } from '../errors.ts';
import { escapeHtml } from '../outbox/email/render-email.ts';

/** The contents of `docs/errors.md`: the table of errors, by status. */
export function errorsAsMarkdown(): string {
  const sections = byStatus().map(
    ([status, entries]) =>
      `## ${status}\n\n${entries
        .map(
          ([code, { title, retriable, action }]) =>
            `### \`${code}\`\n\n${title}. ${retriable ? 'Retry.' : 'Do not retry.'} ${action}\n`,
        )
        .join('\n')}`,
  );
  return `${introduction}\n\n${sections.join('\n')}`;
}

const introduction = `# Errors

Made from the table in \`errors.ts\` by \`npm run errors:write\`. A test compares this page with the table.

The API answers an error as \`application/problem+json\` (RFC 9457): \`status\`, \`code\`, \`title\`, \`detail\`, \`retriable\`, and details
of the code. Decide by \`code\`: it never changes its meaning. \`detail\` is for reading and may change. An inbox event that
cannot be applied is parked with one of these codes. Failed steps in the Temporal UI have the same codes.

- **Retry**: nothing is wrong with the request. Send the same body with the same \`Idempotency-Key\` again, after the seconds in
  the \`Retry-After\` header. Nothing is done or charged twice.
- **Do not retry**: the same request gets the same answer until something else has changed. The text says what.`;

/** The page to which the `type` of a problem links. */
export function errorsAsHtml(): string {
  const sections = byStatus().map(
    ([status, entries]) =>
      `<h2>${status}</h2>\n<dl>\n${entries
        .map(
          ([code, { title, retriable, action }]) =>
            `<dt id="${code}"><code>${code}</code></dt>\n<dd>${escapeHtml(title)}. ${retriable ? 'Retry.' : 'Do not retry.'} ${withCode(escapeHtml(action))}</dd>`,
        )
        .join('\n')}\n</dl>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Errors of the Waveloom Billing API</title>
<body>
<h1>Errors</h1>
${sections.join('\n')}
`;
}

/** `name` as code. */
function withCode(text: string): string {
  return text.replace(/`([^`]+)`/g, '<code>$1</code>');
}

function byStatus(): [status: number, entries: [code: string, entry: ErrorEntry][]][] {
  const entries: [string, ErrorEntry][] = Object.entries(errors);
  const groups = Map.groupBy(entries, ([, { status }]) => status);
  return [...groups].sort(([a], [b]) => a - b);
}
