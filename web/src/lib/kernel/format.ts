/** Times, durations and sizes as people of a language write them. Pure: the language and the time come in. */
import type { Language } from './i18n/languages';

const cache = new Map<string, unknown>();

function kept<T>(key: string, make: () => T): T {
  if (!cache.has(key)) cache.set(key, make());
  return cache.get(key) as T;
}

/** "3 minutes ago", "in 2 hours"; below 10 seconds "now". */
export function relativeTime(at: string | number, now: number, language: Language): string {
  const seconds = Math.round((toTime(at) - now) / 1000);
  const words = kept(`relative ${language}`, () => new Intl.RelativeTimeFormat(language, { numeric: 'auto' }));
  const size = Math.abs(seconds);
  if (size < 10) return words.format(0, 'second');
  if (size < 60) return words.format(seconds, 'second');
  if (size < 3600) return words.format(Math.trunc(seconds / 60), 'minute');
  if (size < 86400) return words.format(Math.trunc(seconds / 3600), 'hour');
  if (size < 86400 * 30) return words.format(Math.trunc(seconds / 86400), 'day');
  if (size < 86400 * 365) return words.format(Math.trunc(seconds / (86400 * 30)), 'month');
  return words.format(Math.trunc(seconds / (86400 * 365)), 'year');
}

export function exactTime(at: string | number, language: Language): string {
  const words = kept(
    `exact ${language}`,
    () => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }),
  );
  return words.format(toTime(at));
}

/** "14:20", with the day beside it when that is another one. */
export function nearTime(at: string | number, now: number, language: Language): string {
  const sameDay = new Date(toTime(at)).toDateString() === new Date(now).toDateString();
  const options: Intl.DateTimeFormatOptions = sameDay
    ? { hour: 'numeric', minute: '2-digit' }
    : { month: 'short', day: 'numeric', weekday: 'short', hour: 'numeric', minute: '2-digit' };
  return kept(`near ${language} ${sameDay}`, () => new Intl.DateTimeFormat(language, options)).format(toTime(at));
}

/** "45 sec", "12 min", "3 hr 5 min", "2 days 4 hr": the two largest parts, short. */
export function duration(seconds: number, language: Language): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86400), 'day'],
    [Math.floor((whole % 86400) / 3600), 'hour'],
    [Math.floor((whole % 3600) / 60), 'minute'],
    [whole % 60, 'second'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return unit(0, 'second', language);
  const shown = parts.slice(first, first + 2).filter(([amount, name]) => amount > 0 && !(first < 2 && name === 'second'));
  // Seconds beside minutes are noise once there are many minutes.
  const useful = first === 2 && whole >= 600 ? shown.slice(0, 1) : shown;
  return useful.map(([amount, name]) => unit(amount, name, language)).join(' ');
}

/** "1.6 s", "0.37 s": seconds of a stage. */
export function stageSeconds(seconds: number, language: Language): string {
  const digits = seconds < 10 ? 2 : 1;
  const number = kept(
    `stage ${language} ${digits}`,
    () => new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
  );
  return `${number.format(Math.max(0, seconds))}${language === 'ko' ? '초' : ' s'}`;
}

/** "192 MB", "1.4 GB" (powers of 1000, as the systems around us count). */
export function bytes(amount: number, language: Language): string {
  const names = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  let value = amount;
  let step = 0;
  while (value >= 1000 && step < names.length - 1) {
    value /= 1000;
    step += 1;
  }
  const name = names[step] ?? 'byte';
  const digits = step >= 3 && value < 100 ? 1 : 0;
  const words = kept(
    `bytes ${language} ${name} ${digits}`,
    () => new Intl.NumberFormat(language, { style: 'unit', unit: name, unitDisplay: 'short', maximumFractionDigits: digits }),
  );
  return words.format(value);
}

export function percent(share: number, language: Language): string {
  const words = kept(`percent ${language}`, () => new Intl.NumberFormat(language, { style: 'percent' }));
  return words.format(share / 100);
}

export function toTime(at: string | number): number {
  return typeof at === 'number' ? at : Date.parse(at);
}

function unit(amount: number, name: string, language: Language): string {
  const words = kept(
    `unit ${language} ${name}`,
    () => new Intl.NumberFormat(language, { style: 'unit', unit: name, unitDisplay: 'short' }),
  );
  return words.format(amount);
}
