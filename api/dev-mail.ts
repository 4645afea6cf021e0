import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Express, Response } from 'express';
import { z } from 'zod';
import { DomainError } from '../domain-error.ts';
import { escapeHtml } from '../outbox/email/render-email.ts';

/** A mail that the development stack's mail server has kept: `DATA_DIR/mail/{id}.json`. */
const keptMail = z.object({
  id: z.string(),
  receivedAt: z.string(),
  from: z.string(),
  to: z.array(z.string()),
  subject: z.string(),
  text: z.string(),
  html: z.string(),
  headers: z.record(z.string(), z.string()),
});
export type KeptMail = z.output<typeof keptMail>;

const maxListed = 100;
const shownHeaders = ['from', 'to', 'date', 'message-id', 'list-unsubscribe', 'list-unsubscribe-post'];

/** The kept mails, newest first. An absent folder is empty. */
export async function readKeptMails(folder: string): Promise<KeptMail[]> {
  const names = await readdir(folder).catch(() => []);
  const newest = names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .reverse()
    .slice(0, maxListed);
  return Promise.all(newest.map((name) => readMail(folder, name)));
}

/**
 * `/dev/mail`: the mails that the development stack has sent. Never in production. The HTML of a mail is shown in a
 * sandboxed frame without scripts.
 */
export function serveDevMail(app: Express, folder: string): void {
  app.get('/dev/mail', async (_request, response) => {
    const rows = (await readKeptMails(folder)).map(
      ({ id, receivedAt, to, subject }) =>
        `<tr><td>${escapeHtml(receivedAt)}</td><td>${escapeHtml(to.join(', '))}</td><td><a href="/dev/mail/${escapeHtml(id)}">${escapeHtml(subject)}</a></td></tr>`,
    );
    const table = `<table><tr><th>received</th><th>to</th><th>subject</th></tr>${rows.join('')}</table>`;
    sendPage(response, 'E-mails', rows.length > 0 ? table : '<p>No e-mail was sent yet.</p>');
  });

  app.get('/dev/mail/:mailId', async (request, response) => {
    const { id, subject, headers, text } = await findMail(folder, request.params.mailId);
    const lines = shownHeaders.flatMap((name) =>
      headers[name] === undefined ? [] : [`${name}: ${headers[name]}`],
    );
    sendPage(
      response,
      subject,
      `<p><a href="/dev/mail">All e-mails</a></p>
<pre>${escapeHtml(lines.join('\n'))}</pre>
<h2>Text</h2>
<pre>${escapeHtml(text)}</pre>
<h2>HTML</h2>
<iframe src="/dev/mail/${escapeHtml(id)}/html" sandbox="allow-popups allow-popups-to-escape-sandbox" width="800" height="500" title="HTML"></iframe>`,
    );
  });

  app.get('/dev/mail/:mailId/html', async (request, response) => {
    const { html } = await findMail(folder, request.params.mailId);
    response.setHeader(
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox",
    );
    response.type('html').send(html);
  });
}

function sendPage(response: Response, title: string, body: string): void {
  response.setHeader(
    'Content-Security-Policy',
    "default-src 'none'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  );
  response
    .type('html')
    .send(
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title></head><body><h1>${escapeHtml(title)}</h1>\n${body}\n</body></html>\n`,
    );
}

async function findMail(folder: string, id: string): Promise<KeptMail> {
  const unknown = new DomainError('unknown_route', `There is no mail ${id.slice(0, 50)}`);
  if (!/^[\w-]{1,60}$/.test(id)) throw unknown;
  return readMail(folder, `${id}.json`).catch(() => {
    throw unknown;
  });
}

async function readMail(folder: string, name: string): Promise<KeptMail> {
  return keptMail.parse(JSON.parse(await readFile(join(folder, name), 'utf8')));
}
