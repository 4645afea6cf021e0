import { SignJWT } from 'jose';

/** A token of a user, as the identity provider signs it. @param lifetime  `10m`, or the time when it ends */
export function signToken(jwtSecret: string, userId: string, lifetime: string | Date): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(userId)
    .setExpirationTime(lifetime)
    .sign(new TextEncoder().encode(jwtSecret));
}
