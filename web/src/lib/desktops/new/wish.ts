/** What the form for a new desktop begins with, and what may be chosen. Pure. */
import type { Chosen, Options, PresetOffer, Range } from '../model';

export interface Start {
  preset: string;
  /** "fit" the window, "1280x720", or "custom". */
  size: string;
  width: number;
  height: number;
  limit: number;
}

/** The limits of time of a preset; the site's where there is none. */
export function timeRange(preset: PresetOffer | undefined, options: Options): Range {
  if (!preset) return options.time_limit_seconds;
  return {
    min: options.time_limit_seconds.min,
    max: preset.longest_time_limit_seconds,
    default: preset.time_limit_seconds,
  };
}

/** What was chosen last, as far as it may still be chosen; else the first preset as it is. */
export function firstChoice(options: Options, fitted: { width: number; height: number }): Start {
  const presets = options.presets ?? [];
  const last = presets.some((one) => one.id === options.chosen?.preset) ? options.chosen : null;
  const preset = presets.find((one) => one.id === last?.preset) ?? presets[0];
  return {
    preset: preset?.id ?? '',
    ...sizeOf(last ?? null, options, fitted),
    limit: limitWithin(last?.time_limit_seconds, timeRange(preset, options)),
  };
}

/** A time that was chosen for another preset stays where that allows it. */
export function limitWithin(wished: number | undefined, range: Range): number {
  return wished !== undefined && wished >= range.min && wished <= range.max ? wished : range.default;
}

function sizeOf(last: Chosen | null, options: Options, fitted: { width: number; height: number }) {
  if (!last) return { size: 'fit', ...fitted };
  const name = `${last.width}x${last.height}`;
  const known = options.sizes.some((one) => `${one.width}x${one.height}` === name);
  // Any other size was that of the window then; the window of now is meant.
  return known ? { size: name, width: last.width, height: last.height } : { size: 'fit', ...fitted };
}

/** The part of what was chosen last that one click repeats; the size is that of the window. */
export function lastChoice(options: Options, fitted: { width: number; height: number }) {
  const { preset, limit } = firstChoice(options, fitted);
  return { preset: preset || undefined, time_limit_seconds: limit };
}
