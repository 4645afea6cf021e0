import { z } from 'zod';
import { startMailServer } from './mail-server.ts';

/** The mail server of the development stack, as a process. */
const { MAIL_SERVER_PORT: port, MAIL_SERVER_FOLDER: folder } = z
  .object({ MAIL_SERVER_PORT: z.coerce.number<string>(), MAIL_SERVER_FOLDER: z.string() })
  .parse(process.env);
const server = await startMailServer({ port, folder });
process.send?.({ ready: true });
await Promise.race(
  ['SIGTERM', 'SIGINT', 'disconnect'].map((event) => new Promise((resolve) => process.once(event, resolve))),
);
await server.stop();
process.exit();
