import type { EntityManager } from '@mikro-orm/postgresql';
import { DomainError } from '../../domain-error.ts';
import { type EmailCategory, emailCategories, type OptOut, userRecipient } from './recipients.ts';

/** Which e-mails a user gets. */
export type EmailNotifications = Record<EmailCategory, boolean>;

/** The recipients of a user's e-mails. An invitation before the sign-up was addressed to the e-mail address. */
const recipientsOfUser = `array['user:' || id, email_recipient_of(email)]`;

/** @throws DomainError `unknown_user`, also for one who was erased */
export async function readNotifications(em: EntityManager, userId: string): Promise<EmailNotifications> {
  const [user] = await em.execute<{ stopped: EmailCategory[] }[]>(
    `select array(select category from email_opt_outs where recipient = any(${recipientsOfUser})) as stopped
       from users where id = ? and erased_at is null`,
    [userId],
  );
  if (!user) throw unknownUser(userId);
  const gets = (category: EmailCategory) => !user.stopped.includes(category);
  return { credits: gets('credits'), payments: gets('payments'), invitations: gets('invitations') };
}

/**
 * Sets which e-mails a user gets. Call it in a transaction.
 * @throws DomainError `unknown_user`, also for one who was erased
 */
export async function setNotifications(
  em: EntityManager,
  userId: string,
  wanted: EmailNotifications,
): Promise<void> {
  // The lock: nobody can erase the user before the commit.
  const users = await em.execute('select id from users where id = ? and erased_at is null for share', [
    userId,
  ]);
  if (users.length === 0) throw unknownUser(userId);
  for (const category of emailCategories) {
    if (wanted[category]) {
      await em.execute(
        `delete from email_opt_outs using users
          where id = ? and recipient = any(${recipientsOfUser}) and category = ?`,
        [userId, category],
      );
    } else await optOut(em, { recipient: userRecipient(userId), category });
  }
}

/** A repetition changes nothing. */
export async function optOut(em: EntityManager, { recipient, category }: OptOut): Promise<void> {
  await em.execute(
    'insert into email_opt_outs (recipient, category, at) values (?, ?, billing_now()) on conflict do nothing',
    [recipient, category],
  );
}

function unknownUser(userId: string): DomainError {
  return new DomainError('unknown_user', `There is no user ${userId}`, { userId });
}
