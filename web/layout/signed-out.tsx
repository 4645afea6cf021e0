import { useLanguage } from '../i18n/language.tsx';
import { buttonClass } from '../ui/button.tsx';
import { Message } from './message.tsx';

/** Shown if nobody is signed in. */
export function SignedOut() {
  const { t } = useLanguage();
  return (
    <Message title={t('signedOut.title')} text={t('signedOut.text')}>
      <a href="/dev/sign-in" className={buttonClass('primary')}>
        {t('signedOut.signIn')}
      </a>
    </Message>
  );
}
