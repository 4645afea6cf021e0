import { Link } from 'wouter';
import { useLanguage } from '../i18n/language.tsx';
import { buttonClass } from '../ui/button.tsx';
import { Message } from './message.tsx';

export function NotFound() {
  const { t } = useLanguage();
  return (
    <Message title={t('notFound.title')} text={t('notFound.text')}>
      <Link href="/" className={buttonClass('primary')}>
        {t('notFound.home')}
      </Link>
    </Message>
  );
}
