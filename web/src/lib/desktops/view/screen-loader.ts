/** noVNC is fetched when a desktop is about to be opened, never with the first screen. */
export function loadViewer() {
  return import('./viewer');
}

export function preloadViewer(): void {
  void loadViewer().catch(() => undefined);
  void import('./DesktopView.svelte').catch(() => undefined);
}
