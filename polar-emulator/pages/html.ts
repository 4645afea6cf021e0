/** HTML that is safe to send: created by `html`, which escapes every value that is not already Html. */
export interface Html {
  readonly markup: string;
}

type Value = Html | string | number | null | undefined | false | readonly Html[];

export function html(strings: TemplateStringsArray, ...values: Value[]): Html {
  const markup = strings.map((text, index) => text + (index < values.length ? render(values[index]) : ''));
  return { markup: markup.join('') };
}

/** A complete page with the emulator's stylesheet. */
export function page(title: string, body: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${{ markup: STYLE }}</style>
</head>
<body>${body}</body>
</html>
`.markup;
}

/** A form of hidden fields with one button, for an action of the control API or the portal. */
export function button(
  action: string,
  label: string,
  fields: Record<string, string> = {},
  kind: 'plain' | 'primary' | 'danger' = 'plain',
): Html {
  const hidden = Object.entries(fields).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  );
  return html`<form method="post" action="${action}">${hidden}<button class="${kind}">${label}</button></form>`;
}

export function money(cents: number): string {
  return (cents / 100).toLocaleString('en-US', { style: 'currency', currency: 'USD' });
}

/** `Jan 31, 2026, 10:00` in UTC. */
export function moment(timestamp: string | null | undefined): string {
  if (!timestamp) return '–';
  return new Date(timestamp).toLocaleString('en-US', {
    month: 'short',
    day: 'numeric',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZone: 'UTC',
  });
}

export function badge(text: string): Html {
  return html`<span class="badge ${text.replaceAll('_', '-')}">${text.replaceAll('_', ' ')}</span>`;
}

function render(value: Value): string {
  if (value === null || value === undefined || value === false) return '';
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  if ('markup' in value) return value.markup;
  return value.map(({ markup }) => markup).join('');
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#e4e4e7, #333338); --soft: light-dark(#6b6b76, #a1a1aa);
  --card: light-dark(#fff, #1c1c20); --back: light-dark(#f6f6f7, #121215); --accent: #4f46e5; --bad: #dc2626; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); font: 14px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
main.narrow { max-width: 460px; padding-top: 9vh; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 16px; margin: 32px 0 10px; }
p { margin: 6px 0; } .soft { color: var(--soft); } .error { color: var(--bad); font-weight: 600; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px; }
.price { font-size: 32px; font-weight: 650; margin: 12px 0 0; }
.scroll { overflow-x: auto; padding: 0; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; padding: 9px 14px; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; } th { font-weight: 550; color: var(--soft); font-size: 12px; }
form { display: inline-block; margin: 2px 4px 2px 0; }
button { font: inherit; padding: 4px 11px; border-radius: 7px; border: 1px solid var(--line);
  background: var(--card); color: inherit; cursor: pointer; }
button:hover { border-color: var(--soft); } button.danger { color: var(--bad); }
button.primary { background: var(--accent); border-color: var(--accent); color: #fff; }
.narrow form { display: block; margin: 12px 0 0; } .narrow form button { width: 100%; padding: 11px; font-size: 15px; }
input[type=email] { width: 100%; font: inherit; padding: 10px; margin-bottom: 10px; border-radius: 7px;
  border: 1px solid var(--line); background: var(--back); color: inherit; }
.badge { font-size: 12px; white-space: nowrap; padding: 1px 9px; border-radius: 99px; background: var(--back); border: 1px solid var(--line); }
.badge.active, .badge.paid, .badge.delivered { color: #15803d; } .badge.past-due, .badge.failed { color: var(--bad); }
code { font-size: 12px; } a { color: light-dark(#4f46e5, #a5b4fc); }
`;
