import type { EmailContent } from './write-email.ts';

/** The texts of an e-mail. */
export interface RenderedEmail {
  subject: string;
  text: string;
  html: string;
}

/** Makes plain text and HTML from the same content. @param optOutUrl  null: the recipient cannot opt out */
export function renderEmail(content: EmailContent, optOutUrl: string | null): RenderedEmail {
  const { subject, paragraphs, link } = content;
  const text = [
    ...paragraphs,
    ...(link ? [`${link.label}: ${link.url}`] : []),
    ...(optOutUrl === null ? [] : ['-- ', `${stopLabel}: ${optOutUrl}`]),
  ];
  return { subject, text: `${text.join('\n\n')}\n`, html: renderHtml(content, optOutUrl) };
}

const stopLabel = 'Stop e-mails like this';

function renderHtml({ subject, paragraphs, link }: EmailContent, optOutUrl: string | null): string {
  const anchor = (label: string, url: string) =>
    `<a href="${escapeHtml(url)}" target="_blank">${escapeHtml(label)}</a>`;
  const body = [
    ...paragraphs.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`),
    ...(link ? [`<p>${anchor(link.label, link.url)}</p>`] : []),
    ...(optOutUrl === null ? [] : ['<hr>', `<p><small>${anchor(stopLabel, optOutUrl)}</small></p>`]),
  ];
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>
<body style="font-family: sans-serif; max-width: 40em">
${body.join('\n')}
</body>
</html>
`;
}

/** For text and for values of attributes in double quotes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
