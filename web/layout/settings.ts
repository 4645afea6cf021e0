/** What the page remembers in this browser. Never anything about the user or the team. */
type Setting = 'language' | 'theme';

export function readSetting(setting: Setting): string | null {
  try {
    return localStorage.getItem(`waveloom.${setting}`);
  } catch {
    return null; // storage is switched off
  }
}

export function storeSetting(setting: Setting, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`waveloom.${setting}`);
    else localStorage.setItem(`waveloom.${setting}`, value);
  } catch {
    // Storage is switched off: the setting lasts until the page is closed.
  }
}
