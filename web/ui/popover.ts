/** A small window beside the control that opened it. */
export const popoverClass = 'rounded-xl border border-line bg-surface text-sm text-ink shadow-xl';

export const menuItemClass =
  'flex cursor-pointer items-center gap-3 rounded-lg px-3 py-2 text-ink no-underline outline-none data-[focused]:bg-sunken data-[selected]:font-semibold';
