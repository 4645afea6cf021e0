/**
 * Colours of keys. There are 20 looks: ten plain hues, then the same ones striped. A key has the plain hue of its hash; if a
 * key that was seen earlier has that look, the next free one, plain ones first. Looks that were given are kept, so a key has the
 * same look in every range.
 */
export type Looks = ReadonlyMap<string, number>;

export const hues = [
  { light: '#2563eb', dark: '#60a5fa' }, // blue
  { light: '#c2410c', dark: '#fb923c' }, // orange
  { light: '#0f766e', dark: '#2dd4bf' }, // teal
  { light: '#be185d', dark: '#f472b6' }, // pink
  { light: '#4d7c0f', dark: '#a3e635' }, // lime
  { light: '#6d28d9', dark: '#a78bfa' }, // violet
  { light: '#a16207', dark: '#facc15' }, // yellow
  { light: '#0e7490', dark: '#22d3ee' }, // cyan
  { light: '#b91c1c', dark: '#f87171' }, // red
  { light: '#166534', dark: '#4ade80' }, // green
] as const;

/** Usage without a value, and the sum of the other keys. */
export const neutralHues = {
  none: { light: '#64748b', dark: '#94a3b8' },
  other: { light: '#78716c', dark: '#a8a29e' },
} as const;

/** Shapes of patterns; `series-fill.tsx` draws them. The first is that of striped hues. */
export const patternCount = 10;
export const lookCount = hues.length * 2;

/** Each key's look, from 0 to 19. Keys beyond 20 share looks. The keys of `known` keep theirs. */
export function assignLooks(known: Looks, keys: readonly string[]): Looks {
  const looks = new Map(known);
  const taken = new Set(looks.values());
  for (const key of keys) {
    if (looks.has(key)) continue;
    let look = hashOf(key) % hues.length;
    const free = hues.some((_, hue) => !taken.has(hue)) ? hues.length : lookCount;
    if (taken.size < lookCount) while (taken.has(look)) look = (look + 1) % free;
    looks.set(key, look);
    taken.add(look);
  }
  return looks;
}

/** The hue and the pattern of a look. With patterns, each look of the same hue has another pattern. */
export function lookParts(look: number, patterns: boolean): { hue: number; pattern: number | null } {
  const hue = look % hues.length;
  const striped = look >= hues.length;
  if (patterns) return { hue, pattern: striped ? (hue + patternCount / 2) % patternCount : hue };
  return { hue, pattern: striped ? 0 : null };
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
