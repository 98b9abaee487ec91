import { belongsToComposition, keysym, keysymOf, leavesDesktop, pastes, shortcutKeysym, switchesInputMethod, typedBetween } from './keys';

export interface KeyboardHost {
  sendKey(symbol: number, code: string | null, down?: boolean): void;
  releaseKeys(): void;
  composing(text: string): void;
  leave(): void;
  /** Text of the paste event, without any permission; null when there was none. */
  pasted(text: string | null): void;
}

/** So that an on-screen keyboard has something to delete, and says so. */
const filler = '_'.repeat(60);
/** How long a paste event may be in coming after its key. */
const pasteWait = 150;

/**
 * The hidden text field under the keyboard's focus. Plain keys go on to noVNC, which listens on the same field; what an
 * input method or an on-screen keyboard writes is read from the field and sent as characters.
 */
export class KeyTarget {
  #before = filler;
  #composing = false;
  /** Keys we sent ourselves instead of noVNC, by code: their release is ours too. */
  #held = new Map<string, number>();
  #paste: { code: string; symbol: number; timer: ReturnType<typeof setTimeout> } | null = null;
  #stop = new AbortController();

  constructor(
    readonly field: HTMLTextAreaElement,
    readonly host: KeyboardHost,
  ) {
    const options = { capture: true, signal: this.#stop.signal };
    field.addEventListener('keydown', (event) => this.#keyDown(event), options);
    field.addEventListener('keyup', (event) => this.#keyUp(event), options);
    field.addEventListener('compositionstart', () => this.#compose(''), options);
    field.addEventListener('compositionupdate', (event) => this.#compose(event.data), options);
    field.addEventListener('compositionend', (event) => this.#composed(event.data), options);
    field.addEventListener('input', () => !this.#composing && this.#readField(), options);
    field.addEventListener('paste', (event) => this.#pasteEvent(event), options);
    field.addEventListener('blur', () => this.#blur(), options);
    this.#clear();
  }

  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#paste?.timer);
  }

  #keyDown(event: KeyboardEvent): void {
    if (belongsToComposition(event) || switchesInputMethod(event)) {
      // noVNC would forbid the browser to go on with it.
      event.stopImmediatePropagation();
      return;
    }
    if (leavesDesktop(event)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      this.host.releaseKeys();
      this.host.leave();
      return;
    }
    if (pastes(event)) {
      // Not prevented: the browser then hands us the clipboard in a paste event, and asks nobody.
      event.stopImmediatePropagation();
      this.#awaitPaste(event);
      return;
    }
    const symbol = shortcutKeysym(event);
    if (symbol !== null) {
      event.preventDefault();
      event.stopImmediatePropagation();
      this.#press(event.code, symbol);
      return;
    }
    if (this.field.value !== filler) this.#clear();
  }

  #keyUp(event: KeyboardEvent): void {
    const symbol = this.#held.get(event.code);
    if (symbol === undefined) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (this.#paste?.code === event.code) this.#finishPaste(null);
    this.#held.delete(event.code);
    this.host.sendKey(symbol, event.code, false);
  }

  #press(code: string, symbol: number): void {
    this.#held.set(code, symbol);
    this.host.sendKey(symbol, code, true);
  }

  #awaitPaste(event: KeyboardEvent): void {
    if (event.repeat) return;
    const symbol = event.code === 'Insert' ? keysym.insert : keysymOf(event.shiftKey ? 'V' : 'v');
    this.#held.set(event.code, symbol);
    this.#paste = { code: event.code, symbol, timer: setTimeout(() => this.#finishPaste(null), pasteWait) };
  }

  #pasteEvent(event: ClipboardEvent): void {
    event.preventDefault();
    this.#finishPaste(event.clipboardData?.getData('text/plain') || null);
  }

  /** First the text, then the key: the desktop asks for the text when the key arrives. */
  #finishPaste(text: string | null): void {
    const waiting = this.#paste;
    this.#paste = null;
    if (text !== null) this.host.pasted(text);
    if (!waiting) return;
    clearTimeout(waiting.timer);
    this.host.sendKey(waiting.symbol, waiting.code, true);
  }

  #compose(text: string): void {
    this.#composing = true;
    this.host.composing(text);
  }

  #composed(text: string): void {
    this.#composing = false;
    this.host.composing('');
    // The field has the text by now in every browser we know; one that has not still says it in the event.
    if (!this.#readField()) for (const character of text) this.#type(character);
  }

  #readField(): boolean {
    const { gone, come } = typedBetween(this.#before, this.field.value);
    for (let count = 0; count < gone; count += 1) this.host.sendKey(keysym.backSpace, null);
    for (const character of come) this.#type(character);
    this.#before = this.field.value;
    if (this.#before.length > 500 || this.#before.length < 10) this.#clear();
    return gone > 0 || come.length > 0;
  }

  #type(character: string): void {
    this.host.sendKey(keysymOf(character), null);
  }

  #clear(): void {
    this.field.value = filler;
    this.#before = filler;
    this.field.setSelectionRange(filler.length, filler.length);
  }

  #blur(): void {
    // Whoever goes away with a key down never tells us that it came up.
    for (const [code, symbol] of this.#held) this.host.sendKey(symbol, code, false);
    this.#held.clear();
    this.#composing = false;
    this.host.composing('');
    this.host.releaseKeys();
    this.#clear();
  }
}
