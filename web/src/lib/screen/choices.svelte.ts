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
