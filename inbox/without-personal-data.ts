/** Fields with names and addresses of persons: `email`, `customer_name`, `billing_address`, `tax_id`, … */
const personal = /(^|_)(e?mail|name|address|tax_id|phone|avatar_url|comment|custom_field_data)$/i;
/**
 * One character before the `@` is enough. A search for a whole word would restart at each character of a long text
 * without one, and take hours for 8 MiB. After each `@` it reads up to the next one, so the time is linear.
 */
const emailAddress = /[^\s@]@[^\s@]+\.[^\s@]/;

/** A JSON value without names, e-mails, addresses and tax numbers. Ids, amounts, times and our metadata stay. */
export function withoutPersonalData(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPersonalData);
  if (typeof value === 'string') return emailAddress.test(value) ? null : value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !personal.test(key))
      .map(([key, member]) => [key, withoutPersonalData(member)]),
  );
}
