import RFB from '@novnc/novnc';
import type { Quality, Size } from './choices.svelte';
import { levels } from './levels';
import type { OpenScreen } from './socket';

export interface ViewerHost {
  /** The element noVNC draws into, and the field whose keys it hears. */
  screen: HTMLElement;
  field: HTMLTextAreaElement;
  /** Send no input and no clipboard. The portal lets none through either. */
  watchOnly: boolean;
  connected(): void;
  /** The first picture of this connection; `full` when it shows more than an empty screen. */
  pictured(full: boolean): void;
  clipboard(text: string): void;
  closed(code: number): void;
}

/** One connection to one screen, on noVNC. It is not used again once closed. */
export class Viewer {
  #rfb: RFB;
  #connected = false;
  #full = false;
  #sampled = 0;
  #shown: [Quality, Size] = ['auto', 'scale'];
  settled = false;
  #canvas: HTMLCanvasElement | null;

  readonly openMilliseconds: number;

  constructor(
    { socket, milliseconds, handOver }: OpenScreen,
    readonly host: ViewerHost,
  ) {
    this.openMilliseconds = milliseconds;
    // Before noVNC takes the socket's own handlers; it tells of a close only whether it was clean.
    socket.addEventListener('close', (event) => host.closed(event.code));
    this.#rfb = new RFB(host.screen, socket, { shared: true });
    queueMicrotask(handOver);
    this.#rfb.viewOnly = host.watchOnly;
    this.#rfb.focusOnClick = false;
    this.#rfb.background = 'transparent';
    if (this.#rfb._keyboard) this.#rfb._keyboard._target = host.field;
    this.#canvas = host.screen.querySelector('canvas');
    this.#rfb.addEventListener('connect', () => {
      this.#connected = true;
      host.connected();
    });
    this.#rfb.addEventListener('clipboard', (event) => host.clipboard((event as CustomEvent<{ text: string }>).detail.text));
    this.#watchPictures();
  }

  /** The picture as it is now; after the connection closed, as it was last. */
  get canvas(): HTMLCanvasElement | null {
    return this.#canvas;
  }

  show(quality: Quality, size: Size): void {
    this.#shown = [quality, size];
    const level = levels(quality, this.openMilliseconds, !this.settled);
    this.#rfb.qualityLevel = level.quality;
    this.#rfb.compressionLevel = level.compression;
    this.#rfb.scaleViewport = size !== 'actual';
    this.#rfb.resizeSession = size === 'follow' && !this.host.watchOnly;
  }

  /** What comes from now on is no first picture any more. */
  settle(): void {
    this.settled = true;
    if (this.#connected) this.show(...this.#shown);
  }

  sendKey(symbol: number, code: string | null, down?: boolean): void {
    this.#rfb.sendKey(symbol, code, down);
  }

  sendCtrlAltDel(): void {
    this.#rfb.sendCtrlAltDel();
  }

  paste(text: string): void {
    this.#rfb.clipboardPasteFrom(text);
  }

  /** Lets go of every key noVNC believes to be down. */
  releaseKeys(): void {
    if (!this.#connected) return;
    this.#rfb._keyboard?.ungrab();
    this.#rfb._keyboard?.grab();
  }

  close(): void {
    this.#connected = false;
    this.#rfb.disconnect();
  }

  /** noVNC has no event for a drawn picture, so we look on when it shows one. */
  #watchPictures(): void {
    const display = this.#rfb._display;
    const flip = display?.flip;
    if (!display || !flip) {
      this.#rfb.addEventListener('connect', () => this.host.pictured(true));
      return;
    }
    display.flip = (fromQueue) => {
      flip.call(display, fromQueue);
      if (this.#connected && !this.#full) this.#pictured();
    };
  }

  #pictured(): void {
    const now = performance.now();
    if (now - this.#sampled < 50) return;
    this.#sampled = now;
    this.#full = this.#canvas ? showsSomething(this.#canvas) : true;
    this.host.pictured(this.#full);
  }
}

/** Whether there is more on it than a bare root window: a few different colours in a small copy. */
function showsSomething(canvas: HTMLCanvasElement): boolean {
  if (!canvas.width || !canvas.height) return false;
  const small = document.createElement('canvas');
  small.width = 48;
  small.height = 30;
  const context = small.getContext('2d', { willReadFrequently: true });
  if (!context) return true;
  context.drawImage(canvas, 0, 0, small.width, small.height);
  const pixels = new Uint32Array(context.getImageData(0, 0, small.width, small.height).data.buffer);
  return new Set(pixels).size > 8;
}
