/** noVNC is fetched when a screen is about to be opened, never with the first view. */
export function loadViewer() {
  return import('./viewer');
}
