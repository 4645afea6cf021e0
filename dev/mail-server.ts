import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import type { KeptMail } from '../api/dev-mail.ts';

export interface MailServer {
  /** For SMTP_URL. */
  url: string;
  stop(): Promise<void>;
}

const maxKept = 500;

/**
 * An SMTP server that delivers nothing: it keeps each mail as a file in `folder`, and the API shows them at `/dev/mail`.
 * For development and tests only.
 *
 * @param answer  decides for each recipient: undefined accepts. Default: accepts everyone
 * @param user  demands this user, with any password
 */
export async function startMailServer({
  port,
  folder,
  answer = () => undefined,
  user,
}: {
  port: number;
  folder: string;
  answer?: (recipient: string) => SmtpRefusal | undefined;
  user?: string;
}): Promise<MailServer> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const server = new SMTPServer({
    authOptional: user === undefined,
    allowInsecureAuth: true,
    disableReverseLookup: true,
    hideSTARTTLS: true,
    onAuth: (auth, _session, done) =>
      auth.username === user ? done(null, { user: auth.username }) : done(new Error('unknown user')),
    onRcptTo({ address }, _session, done) {
      const refusal = answer(address);
      done(refusal ? Object.assign(new Error(refusal.text), { responseCode: refusal.code }) : null);
    },
    onData(stream, { envelope }, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const to = envelope.rcptTo.map(({ address }) => address);
        keep(folder, Buffer.concat(chunks), to).then(
          () => done(),
          (error: Error) => done(error),
        );
      });
    },
  });
  server.on('error', () => {}); // a connection that breaks off
  const listening = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    const listener = server.listen(port, '127.0.0.1', () => {
      const address = listener.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
  return {
    url: `smtp://127.0.0.1:${listening}`,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

export interface SmtpRefusal {
  /** 4xx: later. 5xx: never. */
  code: number;
  text: string;
}

async function keep(folder: string, raw: Buffer, to: string[]): Promise<void> {
  const parsed = await PostalMime.parse(raw);
  const headers = Object.fromEntries(parsed.headers.map(({ key, value }) => [key, value]));
  const receivedAt = new Date().toISOString();
  const id = `${receivedAt.replace(/\W/g, '')}-${randomUUID().slice(0, 8)}`;
  const mail: KeptMail = {
    id,
    receivedAt,
    to,
    from: parsed.from?.address ?? '',
    subject: parsed.subject ?? '',
    text: parsed.text ?? '',
    html: parsed.html ?? '',
    headers,
  };
  await writeFile(join(folder, `${id}.json`), JSON.stringify(mail, null, 2), { mode: 0o600 });
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  for (const name of names.slice(0, -maxKept)) await rm(join(folder, name), { force: true });
}
