import type { ReactNode } from 'react';
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from 'react-aria-components';

export interface DialogProps {
  title: string;
  isOpen: boolean;
  onClose(): void;
  children: ReactNode;
}

/** A modal dialog: in the middle of a wide window, from the bottom edge of a phone. Escape closes it. */
export function Dialog({ title, isOpen, onClose, children }: DialogProps) {
  return (
    <ModalOverlay
      isOpen={isOpen}
      onOpenChange={(open) => !open && onClose()}
      isDismissable
      className="fixed inset-0 z-20 flex items-end justify-center bg-backdrop sm:items-center sm:p-6"
    >
      <Modal className="max-h-[90dvh] w-full overflow-y-auto rounded-t-2xl bg-surface p-6 shadow-2xl sm:max-w-lg sm:rounded-2xl">
        <AriaDialog className="outline-none">
          <Heading slot="title" className="mb-4 text-lg font-semibold">
            {title}
          </Heading>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}
