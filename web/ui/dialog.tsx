import type { ReactNode } from 'react';
import { Dialog as AriaDialog, Button, Heading, Modal, ModalOverlay } from 'react-aria-components';
import { useLanguage } from '../i18n/language.tsx';
import { FaultBoundary } from './fault-boundary.tsx';

export interface DialogProps {
  title: string;
  isOpen: boolean;
  onClose(): void;
  /** At the end edge of the window, in its whole height. */
  isDrawer?: boolean;
  children: ReactNode;
}

/** A modal dialog: a drawer, or in the middle of a wide window, at the bottom edge of a phone. Escape closes it. */
export function Dialog({ title, isOpen, onClose, isDrawer = false, children }: DialogProps) {
  const { t } = useLanguage();
  return (
    <ModalOverlay
      isOpen={isOpen}
      onOpenChange={(open) => !open && onClose()}
      isDismissable
      className={`fixed inset-0 z-20 flex bg-backdrop ${isDrawer ? 'justify-end' : 'items-end justify-center sm:items-center sm:p-6'}`}
    >
      <Modal
        className={`w-full overflow-y-auto bg-surface shadow-2xl ${isDrawer ? 'h-dvh sm:max-w-md' : 'max-h-[90dvh] rounded-t-2xl sm:max-w-xl sm:rounded-2xl'}`}
      >
        <AriaDialog className="p-5 outline-none sm:p-6">
          <div className="mb-4 flex items-start justify-between gap-4">
            <Heading slot="title" className="text-lg font-semibold">
              {title}
            </Heading>
            <Button
              aria-label={t('state.close')}
              onPress={onClose}
              className="-m-1.5 grid size-8 shrink-0 place-items-center rounded-lg text-muted hover:bg-sunken hover:text-ink"
            >
              <span aria-hidden>✕</span>
            </Button>
          </div>
          <FaultBoundary>{children}</FaultBoundary>
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}
