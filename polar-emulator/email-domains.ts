import { type Emulator, organizationOf } from './emulator.ts';
import { malformed } from './polar-refusal.ts';

/** Domains that cannot receive mail (RFC 6761 and similar), as in Polar's e-mail validator. */
const SPECIAL_USE = ['arpa', 'invalid', 'local', 'localhost', 'onion', 'test'];

/** Refuses (422) an address as Polar's validator does: a special-use domain, or a domain without a mail server. */
export function requireDeliverable(
  emulator: Emulator,
  loc: (string | number)[],
  email: string | null | undefined,
): void {
  if (!email) return;
  const domain = email.slice(email.lastIndexOf('@') + 1).toLowerCase();
  const reason = SPECIAL_USE.some((name) => domain === name || domain.endsWith(`.${name}`))
    ? 'The part after the @-sign is a special-use or reserved name that cannot be used with email.'
    : organizationOf(emulator).unknown_email_domains.includes(domain)
      ? `The domain name ${domain} does not exist.`
      : undefined;
  if (reason === undefined) return;
  const problem = { type: 'value_error', loc, msg: `${email} is not a valid email address: ${reason}` };
  throw malformed([{ ...problem, input: email, ctx: { email, reason } }]);
}
