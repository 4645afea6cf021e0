import { readSetting, storeSetting } from './settings.ts';

export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

export function storedTheme(): Theme {
  return themes.find((theme) => theme === readSetting('theme')) ?? 'system';
}

/** Shows a theme: `system` follows the operating system. styles.css has the colours of both. */
export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function chooseTheme(theme: Theme): void {
  storeSetting('theme', theme === 'system' ? null : theme);
  applyTheme(theme);
}
