import { remember, remembered } from '../kernel/stored';

export const qualities = ['auto', 'sharp', 'fast'] as const;
export type Quality = (typeof qualities)[number];
export const sizes = ['follow', 'scale', 'actual'] as const;
export type Size = (typeof sizes)[number];

const touch = matchMedia('(pointer: coarse)').matches;

function kept<T extends string>(key: string, allowed: readonly T[], usual: T): T {
  const value = remembered(key);
  return allowed.find((item) => item === value) ?? usual;
}

/** How a person wants to see screens; kept in this browser. */
class ViewChoices {
  quality = $state<Quality>(kept('view.quality', qualities, 'auto'));
  // A phone's window would make a tiny screen of every desktop that is opened on it.
  size = $state<Size>(kept('view.size', sizes, touch ? 'scale' : 'follow'));

  chooseQuality(quality: Quality): void {
    this.quality = quality;
    remember('view.quality', quality);
  }

  chooseSize(size: Size): void {
    this.size = size;
    remember('view.size', size);
  }
}

export const choices = new ViewChoices();

/** noVNC's levels. Automatic goes by how long the connection took to open, which is two round trips at least. */
export function levels(quality: Quality, openMilliseconds: number): { quality: number; compression: number } {
  if (quality === 'sharp') return { quality: 9, compression: 1 };
  if (quality === 'fast') return { quality: 3, compression: 6 };
  if (openMilliseconds < 60) return { quality: 8, compression: 1 };
  if (openMilliseconds < 250) return { quality: 6, compression: 2 };
  return { quality: 4, compression: 5 };
}
