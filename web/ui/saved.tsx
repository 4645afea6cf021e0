import { useLanguage } from '../i18n/language.tsx';

/** Says "Saved" beside a form, also to screen readers. Keep it mounted: only a change of its contents is announced. */
export function Saved({ isShown }: { isShown: boolean }) {
  const { t } = useLanguage();
  return (
    <span role="status" className="text-sm font-medium text-accent">
      {isShown && t('state.saved')}
    </span>
  );
}
