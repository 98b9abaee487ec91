import { remembered } from '../lib/kernel/stored';
import { consoleOf, desktopIdOf, loadConsole, placeAt } from './places';

/** Fetches the part of the page that is likely wanted while the portal is asked who is here. */
export function preloadHere(): void {
  if (!remembered('signed-in')) return;
  const path = location.pathname === '/' ? '/desktops' : location.pathname;
  const shown = consoleOf(path);
  const wanted = desktopIdOf(path)
    ? import('../lib/desktops/view/DesktopView.svelte')
    : shown
      ? loadConsole(shown.of)
      : placeAt(path)?.load();
  void wanted?.catch(() => undefined);
}

/** Menus and dialogs are not part of the first screen, but should be there when the first one is opened. */
export function preloadOverlays(): void {
  const fetchThem = () => {
    for (const kind of kinds) removeEventListener(kind, fetchThem, true);
    void import('../lib/kernel/ui/MenuBody.svelte').catch(() => undefined);
    void import('../lib/kernel/ui/Confirm.svelte').catch(() => undefined);
  };
  const kinds = ['pointermove', 'pointerdown', 'keydown'] as const;
  for (const kind of kinds) addEventListener(kind, fetchThem, { capture: true, passive: true });
}
