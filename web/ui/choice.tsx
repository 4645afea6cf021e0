/** One of a few values. The browser's own list is small, works everywhere, and needs no code. */
export function Choice<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  /** For screen readers. */
  label: string;
  value: T;
  options: readonly { value: NoInfer<T>; text: string }[];
  onChange(value: NoInfer<T>): void;
}) {
  return (
    <select
      aria-label={label}
      value={value}
      onChange={({ currentTarget }) => {
        const chosen = options.find((option) => option.value === currentTarget.value);
        if (chosen) onChange(chosen.value);
      }}
      className="min-h-9 rounded-lg border border-outline bg-surface px-2 text-sm text-ink"
    >
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.text}
        </option>
      ))}
    </select>
  );
}
