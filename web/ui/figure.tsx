import { type ReactNode, useState } from 'react';
import { Button } from 'react-aria-components';
import { formatCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Dialog } from './dialog.tsx';

export interface FigureProps {
  /** The API's decimal string. */
  credits: string;
  /** What the figure is, as the title of its explanation. */
  title: string;
  signed?: boolean;
  /** Digits after the point. The explanation has all. Default: 2. */
  digits?: number;
  /** What it is made of. Its queries run when it is opened. */
  children: ReactNode;
}

/** A figure of credits. Pressing it opens what it is made of. */
export function Figure({ credits, title, signed = false, digits = 2, children }: FigureProps) {
  const { t, locale } = useLanguage();
  const [isOpen, setOpen] = useState(false);
  const text = formatCredits(credits, locale, { digits, signed });
  return (
    <>
      <Button
        aria-label={t('figure.explain', { credits: text, title })}
        onPress={() => setOpen(true)}
        className="cursor-pointer rounded-sm underline decoration-outline decoration-dotted decoration-1 underline-offset-[0.2em] hover:decoration-accent hover:decoration-solid"
      >
        {text}
      </Button>
      <Dialog title={title} isOpen={isOpen} onClose={() => setOpen(false)}>
        <p className="mb-4 text-2xl font-semibold">
          {formatCredits(credits, locale, { signed })}{' '}
          <span className="text-sm font-normal text-muted">{t('credits')}</span>
        </p>
        {children}
      </Dialog>
    </>
  );
}
