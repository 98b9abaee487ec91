/** From what a browser says about keys and characters to X keysyms. Pure. */

export const keysym = { backSpace: 0xff08, tab: 0xff09, enter: 0xff0d, insert: 0xff63 } as const;

export interface KeyLike {
  key: string;
  code: string;
  keyCode: number;
  isComposing: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
  metaKey: boolean;
}

/** The keysym of a character: Latin-1 directly, everything else by its code point (X11 protocol, appendix A). */
export function keysymOf(character: string): number {
  const point = character.codePointAt(0) ?? 0;
  if (character === '\n' || character === '\r') return keysym.enter;
  if (character === '\t') return keysym.tab;
  if (character === '\b') return keysym.backSpace;
  const latin = (point >= 0x20 && point <= 0x7e) || (point >= 0xa0 && point <= 0xff);
  return latin ? point : 0x01000000 + point;
}

/** Keys that the browser's input method is using: its text comes later, as a composition. */
export function belongsToComposition(event: KeyLike): boolean {
  return event.isComposing || event.keyCode === 229 || event.key === 'Process';
}

/** Keys that switch the input method of this computer; the desktop's own would be switched besides. */
export function switchesInputMethod(event: KeyLike): boolean {
  return ['HangulMode', 'HanjaMode', 'Lang1', 'Lang2', 'ModeChange'].includes(event.key) || /^Lang[12]$/.test(event.code);
}

/** Ctrl-C typed while the keyboard writes Hangul says "ㅊ": the letter on the key is what was meant. */
export function shortcutKeysym(event: KeyLike): number | null {
  if (!(event.ctrlKey || event.altKey || event.metaKey)) return null;
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1];
  if (!letter || [...event.key].length !== 1 || event.key.charCodeAt(0) < 0x250) return null;
  return keysymOf(event.shiftKey ? letter : letter.toLowerCase());
}

/** The keys with which people paste: Ctrl-V, Ctrl-Shift-V, Command-V, Shift-Insert. */
export function pastes(event: KeyLike): boolean {
  if (event.code === 'Insert') return event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
  return event.code === 'KeyV' && (event.ctrlKey || event.metaKey) && !event.altKey;
}

/** Ctrl + Alt + Shift, in any order: the way out of the desktop for the keyboard. */
export function leavesDesktop(event: KeyLike): boolean {
  return event.ctrlKey && event.altKey && event.shiftKey && ['Control', 'Alt', 'Shift'].includes(event.key);
}

/** What was typed into a text field, as keys: how many characters went, and which came. */
export function typedBetween(before: string, after: string): { gone: number; come: string[] } {
  const [old, now] = [[...before], [...after]];
  let same = 0;
  while (same < old.length && same < now.length && old[same] === now[same]) same += 1;
  return { gone: old.length - same, come: now.slice(same) };
}
