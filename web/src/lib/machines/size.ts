/** Sizes as machines count them: 1 GB is 1024 MB, for memory and disks alike. Pure. */
import type { Language } from '../kernel/i18n/languages';

export const megabyte = 1024 ** 2;
export const gigabyte = 1024 ** 3;
const names = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;

/** "512 MB", "1.5 GB", "20 GB". */
export function size(amount: number, language: Language): string {
  let value = amount;
  let step = 0;
  while (value >= 1024 && step < names.length - 1) {
    value /= 1024;
    step += 1;
  }
  const digits = step >= 3 && value < 100 ? 1 : 0;
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: names[step],
    unitDisplay: 'short',
    maximumFractionDigits: digits,
  }).format(value);
}

/** Whole gigabytes, rounded down, never less than none. */
export function wholeGigabytes(amount: number): number {
  return Math.max(0, Math.floor(amount / gigabyte));
}
