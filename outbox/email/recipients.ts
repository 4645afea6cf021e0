import { createHmac, timingSafeEqual } from 'node:crypto';

/** What an e-mail is about. A recipient opts out of each category separately. */
export const emailCategories = ['credits', 'payments', 'invitations'] as const;
export type EmailCategory = (typeof emailCategories)[number];

/** The recipient and the category that the link in an e-mail stops. */
export interface OptOut {
  /** As in `emails.recipient`: `user:{id}`, or `address:{sha256}` if no user has the address. */
  recipient: string;
  category: EmailCategory;
}

/** The recipient of e-mails to the address in MAIL_OPERATOR. */
export const operatorRecipient = 'operator';

export function userRecipient(userId: string): string {
  return `user:${userId}`;
}

/**
 * The token of a link that opts out. It allows nothing else. It never expires, because the link in an old e-mail must
 * still work.
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
