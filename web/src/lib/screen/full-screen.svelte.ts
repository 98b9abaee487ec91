interface KeyboardLock {
  lock?: (codes?: string[]) => Promise<void>;
  unlock?: () => void;
}

/** Full screen of the whole page, so that menus and dialogs are in it too. */
class FullScreen {
  on = $state(Boolean(document.fullscreenElement));
  readonly possible = document.fullscreenEnabled ?? false;

  constructor() {
    document.addEventListener('fullscreenchange', () => {
      this.on = Boolean(document.fullscreenElement);
      const keyboard = (navigator as { keyboard?: KeyboardLock }).keyboard;
      // Escape and Alt-Tab reach the desktop where the browser can do that; holding Escape still leaves.
      if (this.on) void keyboard?.lock?.().catch(() => undefined);
      else keyboard?.unlock?.();
    });
  }

  toggle(): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void document.documentElement.requestFullscreen({ navigationUI: 'hide' }).catch(() => undefined);
  }
}

export const fullScreen = new FullScreen();
