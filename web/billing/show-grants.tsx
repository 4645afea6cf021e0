import { useLanguage } from '../i18n/language.tsx';
import { buttonClass } from '../ui/button.tsx';

/** A link to the list of grants on the same page. */
export function ShowGrants() {
  const { t } = useLanguage();
  return (
    <a href="#grants" className={buttonClass('secondary')}>
      {t('banner.showGrants')}
    </a>
  );
}
