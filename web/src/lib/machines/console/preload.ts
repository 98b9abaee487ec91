import { loadViewer } from '../../screen/loader';

/** Fetches what shows a machine's screen when it is likely to be opened. */
export function preloadConsole(): void {
  void loadViewer().catch(() => undefined);
  void import('./ConsoleView.svelte').catch(() => undefined);
}
