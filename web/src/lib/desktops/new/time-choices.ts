import type { Range } from '../model';

const hour = 3600;
const usual = [hour, 2 * hour, 4 * hour, 8 * hour, 12 * hour, 24 * hour, 48 * hour, 7 * 24 * hour, 30 * 24 * hour];

/** Time limits to choose from: round ones within what is allowed, and always the default and the longest. */
export function timeChoices(range: Range): number[] {
  const all = new Set([...usual.filter((seconds) => seconds >= range.min && seconds <= range.max), range.default, range.max]);
  return [...all].sort((one, other) => one - other);
}
