import { useQuery } from '@tanstack/react-query';
import { useLanguage } from '../i18n/language.tsx';
import { buttonClass } from '../ui/button.tsx';
import { Message } from './message.tsx';

const developmentSignIn = '/dev/sign-in';

/** Shown if nobody is signed in. The dashboard signs in; in development a page of the API does. */
export function SignedOut() {
  const { t } = useLanguage();
  const { data: hasSignIn } = useQuery({
    queryKey: ['development-sign-in'],
    queryFn: async ({ signal }) => (await fetch(developmentSignIn, { method: 'HEAD', signal })).ok,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <Message title={t('signedOut.title')} text={t('signedOut.text')}>
      {hasSignIn && (
        <a href={developmentSignIn} className={buttonClass('primary')}>
          {t('signedOut.signIn')}
        </a>
      )}
    </Message>
  );
}
