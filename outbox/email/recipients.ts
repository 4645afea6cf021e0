import { createHmac, timingSafeEqual } from 'node:crypto';

/** What an e-mail is about. A person opts out of each separately. */
export const emailCategories = ['credits', 'payments', 'invitations'] as const;
export type EmailCategory = (typeof emailCategories)[number];

/** The category that a person can stop with the link in an e-mail. */
export interface OptOut {
  /** As in `emails.recipient`: `user:{id}`, or `address:{sha256}` of an address that is no user's. */
  recipient: string;
  category: EmailCategory;
}

/** The recipient of e-mails to the address in MAIL_OPERATOR. */
export const operatorRecipient = 'operator';

export function userRecipient(userId: string): string {
  return `user:${userId}`;
}

/**
 * The token of a link that opts out. It never expires, because an old e-mail must stay stoppable, and it can do nothing
 * else.
 * @param secret  the newest of MAIL_TOKEN_SECRET
 */
export function createOptOutToken(secret: string, optOut: OptOut): string {
  return `${encode(optOut)}.${sign(secret, optOut).toString('base64url')}`;
}

/**
 * @param secrets  all of MAIL_TOKEN_SECRET
 * @returns null if none of the secrets has signed the token
 */
export function readOptOutToken(secrets: readonly string[], token: string): OptOut | null {
  const [category, recipient, signature, ...more] = token.split('.');
  if (recipient === undefined || signature === undefined || more.length > 0) return null;
  const known = emailCategories.find((one) => one === category);
  if (!known) return null;
  const optOut = { category: known, recipient: Buffer.from(recipient, 'base64url').toString('utf8') };
  const given = Buffer.from(signature, 'base64url');
  const isSigned = secrets.some((secret) => {
    const expected = sign(secret, optOut);
    return expected.length === given.length && timingSafeEqual(expected, given);
  });
  return isSigned ? optOut : null;
}

function encode({ category, recipient }: OptOut): string {
  return `${category}.${Buffer.from(recipient).toString('base64url')}`;
}

function sign(secret: string, optOut: OptOut): Buffer {
  return createHmac('sha256', secret)
    .update(`email-opt-out:${encode(optOut)}`)
    .digest();
}
