/** Opens a page of Polar in this window. Inside the dashboard's frame it replaces the dashboard, because Polar refuses frames. */
export function goTo(url: string): void {
  window.open(url, '_top');
}
