import { useEffect } from 'react';

const focusable =
  'a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), [tabindex="0"]';

/**
 * If the focused control goes, for example because pressing it is done, the focus moves to the first control of the smallest part
 * of the page that is still there. Browsers would drop it, and the reader would not know where they are. Dialogs return the focus
 * themselves.
 */
export function useKeptFocus(): void {
  useEffect(() => {
    let last: Element | null = null;
    let around: Element[] = [];
    let frame = 0;
    const remember = ({ target }: FocusEvent) => {
      if (!(target instanceof Element) || !target.closest('main')) return;
      last = target;
      around = ancestorsOf(target);
    };
    const keep = () => {
      if (document.activeElement !== document.body || !last || last.isConnected) return;
      const place = around.find((one) => one.isConnected && one.querySelector(focusable));
      place?.querySelector<HTMLElement>(focusable)?.focus();
    };
    const observer = new MutationObserver(() => {
      cancelAnimationFrame(frame);
      // After the frame in which a closed dialog returns the focus.
      frame = requestAnimationFrame(() => {
        frame = requestAnimationFrame(keep);
      });
    });
    document.addEventListener('focusin', remember);
    observer.observe(document.body, { childList: true, subtree: true });
    return () => {
      cancelAnimationFrame(frame);
      observer.disconnect();
      document.removeEventListener('focusin', remember);
    };
  }, []);
}

/** The elements around it in the page's contents, the nearest first. */
function ancestorsOf(element: Element): Element[] {
  const parent = element.parentElement;
  return parent?.closest('main') ? [parent, ...ancestorsOf(parent)] : [];
}
