/** Text for a machine's keyboard. Pure. */

const shifted = new Set('~!@#$%^&*()_+{}|:"<>?ABCDEFGHIJKLMNOPQRSTUVWXYZ');
export const shiftKey = { symbol: 0xffe1, code: 'ShiftLeft' } as const;

/**
 * Whether a character is written with Shift on the keyboard that a machine has, which is an American one. Its host knows
 * keys by their place alone, so that a character without its Shift would be another one.
 */
export function needsShift(symbol: number): boolean {
  return shifted.has(String.fromCodePoint(symbol));
}
