import { TextField as AriaTextField, FieldError, Input, Label } from 'react-aria-components';

export interface TextFieldProps {
  label: string;
  /** Keeps the label for screen readers only. */
  hidesLabel?: boolean;
  value: string;
  onChange(value: string): void;
  /** Why the value cannot be saved; undefined: it can. */
  error?: string | undefined;
  isDisabled?: boolean;
}

/** A short field for an amount. */
export function TextField({ label, hidesLabel, error, ...props }: TextFieldProps) {
  return (
    <AriaTextField {...props} isInvalid={error !== undefined} className="flex flex-col gap-1">
      <Label className={hidesLabel ? 'sr-only' : 'text-sm font-medium'}>{label}</Label>
      <Input
        inputMode="decimal"
        autoComplete="off"
        className="min-h-9 w-28 rounded-lg border border-outline bg-surface px-3 text-end text-sm data-[disabled]:opacity-60 data-[invalid]:border-danger"
      />
      <FieldError className="max-w-48 text-xs text-danger">{error}</FieldError>
    </AriaTextField>
  );
}
