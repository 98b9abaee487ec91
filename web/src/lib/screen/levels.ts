import type { Quality } from './choices.svelte';

/**
 * noVNC's levels. Automatic goes by how long the connection took to open, which is two round trips at least; the first
 * picture is a whole screen, and comes sooner in less quality (the server sends it sharp once nothing moves).
 */
export function levels(quality: Quality, openMilliseconds: number, first = false): { quality: number; compression: number } {
  if (quality === 'sharp') return { quality: 9, compression: 1 };
  if (quality === 'fast') return { quality: 3, compression: 6 };
  if (first && openMilliseconds < 250) return { quality: 5, compression: 1 };
  if (openMilliseconds < 60) return { quality: 8, compression: 1 };
  if (openMilliseconds < 250) return { quality: 6, compression: 2 };
  return { quality: 4, compression: 5 };
}
