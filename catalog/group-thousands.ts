/** A decimal string as people read it: `1234567.5` becomes `1,234,567.5`. Imports nothing, so that workflows can use it. */
export function groupThousands(decimal: string): string {
  const [whole = '', fraction] = decimal.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}
