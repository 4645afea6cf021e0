import { expect, test } from '@jest/globals';
import { assignLooks, hues, lookParts, neutralHues } from '../../../web/usage/series-colours.ts';

const models = ['gpt-5', 'gpt-5-mini', 'claude-opus', 'claude-haiku', 'gemini', 'llama', 'mistral', 'sora'];

test('a key keeps its colour in every range', () => {
  const week = assignLooks(new Map(), models.slice(3));
  const year = assignLooks(week, models);
  for (const model of models.slice(3)) expect(year.get(model)).toBe(week.get(model));
});

test('no key is striped while a plain colour is free', () => {
  const ten = assignLooks(new Map(), [...models, 'veo', 'imagen']);
  expect([...ten.values()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(assignLooks(ten, ['whisper']).get('whisper')).toBeGreaterThanOrEqual(10);
});

test('up to twenty keys look different, and more do not fail', () => {
  const twenty = assignLooks(
    new Map(),
    Array.from({ length: 20 }, (_, index) => `key-${index}`),
  );
  expect(new Set(twenty.values()).size).toBe(20);
  expect(assignLooks(twenty, ['one more']).get('one more')).toBeLessThan(20);
});

test('without colours, patterns tell the keys apart', () => {
  const looks = [...assignLooks(new Map(), models).values()];
  const seen = looks.map((look) => JSON.stringify(lookParts(look, true)));
  expect(new Set(seen).size).toBe(models.length);
  for (const look of looks) expect(lookParts(look, true).pattern).not.toBeNull();
});

test.each([
  ['light', '#ffffff'],
  ['dark', '#18181b'],
] as const)('every colour has a contrast of at least 3 in the %s theme', (theme, surface) => {
  for (const hue of [...hues, ...Object.values(neutralHues)]) {
    expect([hue[theme], contrast(hue[theme], surface) >= 3]).toEqual([hue[theme], true]);
  }
});

/** WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio */
function contrast(one: string, other: string): number {
  const [lighter = 0, darker = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (lighter + 0.05) / (darker + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((start) => Number.parseInt(colour.slice(start, start + 2), 16) / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
