import { Button as AriaButton, type ButtonProps as AriaButtonProps } from 'react-aria-components';

type Look = 'primary' | 'secondary' | 'quiet' | 'danger';

export interface ButtonProps extends Omit<AriaButtonProps, 'className' | 'style'> {
  look?: Look;
  /** Keeps its place, but is not there: nothing moves when it appears. */
  isHidden?: boolean;
}

/** A button. While `isPending` it keeps its place and its focus, and cannot be pressed. */
export function Button({ look = 'secondary', isHidden = false, ...props }: ButtonProps) {
  return <AriaButton {...props} className={`${buttonClass(look)} ${isHidden ? 'invisible' : ''}`} />;
}

/** The classes of a button, for links that look like one. */
export function buttonClass(look: Look): string {
  return `inline-flex min-h-9 items-center justify-center gap-2 rounded-lg px-3.5 py-1.5 text-sm font-medium whitespace-nowrap transition-colors data-[disabled]:cursor-default data-[disabled]:opacity-50 data-[pending]:cursor-progress data-[pending]:opacity-60 ${looks[look]}`;
}

const looks: Record<Look, string> = {
  primary: 'bg-accent text-on-accent hover:bg-accent-strong',
  secondary: 'border border-line bg-surface text-ink hover:bg-sunken',
  quiet: 'text-accent hover:bg-sunken',
  danger: 'border border-danger/40 bg-surface text-danger hover:bg-danger-soft',
};
