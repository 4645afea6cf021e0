import { useEffect } from 'react';

/** Without text fields: on a phone, the focus would open the keyboard. */
const controls = 'a[href], button, select, [tabindex="0"]:not(input)';

/**
 * If the focused control is removed, disabled or hidden, for example after it was pressed, browsers drop the focus, and the reader
 * does not know where they are. Then the focus moves to the first control of the smallest part of the page around it that has one.
 * Dialogs return the focus themselves.
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
      const { activeElement, body } = document;
      if (!last || canHaveFocus(last) || (activeElement !== body && activeElement !== last)) return;
      const inside = around.flatMap((one) => [...one.querySelectorAll<HTMLElement>(controls)]);
      inside.find(canHaveFocus)?.focus();
    };
    const observer = new MutationObserver(() => {
      cancelAnimationFrame(frame);
      // After the frame in which a closed dialog returns the focus.
      frame = requestAnimationFrame(() => {
        frame = requestAnimationFrame(keep);
      });
    });
    document.addEventListener('focusin', remember);
    observer.observe(document.body, {
      childList: true,
      subtree: true,
      attributeFilter: ['disabled', 'class'],
    });
    return () => {
      cancelAnimationFrame(frame);
      observer.disconnect();
      document.removeEventListener('focusin', remember);
    };
  }, []);
}

function canHaveFocus(element: Element): boolean {
  return element.checkVisibility({ visibilityProperty: true }) && !element.matches(':disabled');
}

/** The elements around it in the page's contents, the nearest first. */
function ancestorsOf(element: Element): Element[] {
  const parent = element.parentElement;
  return parent?.closest('main') ? [parent, ...ancestorsOf(parent)] : [];
}
