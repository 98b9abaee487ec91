import { copyText } from '../../kernel/copy';

/** How far the browser lets us: `shared` both ways by itself; `ask` until allowed; `keys` by Ctrl-V and at a gesture. */
export type ClipboardWay = 'shared' | 'ask' | 'keys';

/** Keeps the clipboard of this computer and that of the desktop the same, as far as the browser allows. */
export class ClipboardBridge {
  way = $state<ClipboardWay>('keys');
  /** What was last copied in the desktop, for the panel. */
  fromDesktop = $state('');
  /** Copied in the desktop, and not yet in this computer's clipboard: the browser wants a gesture first. */
  pending = $state(false);
  /** Counts what arrived, for a short sign. */
  arrived = $state(0);
  #known: string | null = null;
  #asked = false;
  #give: (text: string) => void;

  constructor(give: (text: string) => void) {
    this.#give = give;
    void this.#learnWay();
  }

  async #learnWay(): Promise<void> {
    if (!navigator.clipboard?.readText) return;
    try {
      const status = await navigator.permissions.query({ name: 'clipboard-read' as PermissionName });
      const read = () => (this.way = status.state === 'granted' ? 'shared' : status.state === 'prompt' ? 'ask' : 'keys');
      read();
      status.onchange = read;
    } catch {
      // Firefox and Safari know no such permission; there the paste event serves.
    }
  }

  /** The desktop has copied something. */
  async take(text: string): Promise<void> {
    if (!text || text === this.#known) return;
    this.#known = text;
    this.fromDesktop = text;
    this.arrived += 1;
    this.pending = !(await this.#write(text));
  }

  /** A gesture happened: now the browser may allow what it refused before. */
  async gesture(): Promise<void> {
    if (this.pending) {
      this.pending = !(await copyText(this.fromDesktop));
    } else if (this.way === 'ask' && !this.#asked) {
      this.#asked = true;
      await this.read();
    }
  }

  /** Looks at this computer's clipboard, where that needs no question; new text goes to the desktop. */
  async look(): Promise<void> {
    if (this.pending) this.pending = !(await this.#write(this.fromDesktop));
    else if (this.way === 'shared') await this.read();
  }

  async read(): Promise<void> {
    if (!document.hasFocus()) return;
    try {
      this.send(await navigator.clipboard.readText());
    } catch {
      if (this.way === 'ask') this.way = 'keys';
    }
  }

  /** Text for the desktop. The same text is not sent back: the desktop's own copy may be richer than text. */
  send(text: string, again = false): void {
    if (!text || (text === this.#known && !again)) return;
    this.#known = text;
    this.#give(text);
  }

  /** A new connection knows nothing of what was sent before. */
  reconnected(): void {
    this.#known = this.pending ? this.#known : null;
    void this.look();
  }

  async #write(text: string): Promise<boolean> {
    if (!document.hasFocus()) return false;
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  }
}
