import { loadViewer } from '../../screen/loader';

/** Fetches what shows a desktop when one is likely to be opened. */
export function preloadViewer(): void {
  void loadViewer().catch(() => undefined);
  void import('./DesktopView.svelte').catch(() => undefined);
}
