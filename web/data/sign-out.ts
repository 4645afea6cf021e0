import { billing } from './billing.ts';

/** Ends the session, then loads the page anew, so that nothing of the user stays in memory. */
export async function signOut(): Promise<void> {
  try {
    await billing.DELETE('/session');
  } finally {
    window.location.assign('/');
  }
}
