/** Points of a small chart. Pure. */
import type { Pulse } from '../model';

export interface Point {
  /** Milliseconds since the epoch. */
  at: number;
  cpu: number | null;
  memory: number | null;
}

export const hour = 3_600_000;

/** The points with a heartbeat at their end, those older than an hour left out; the same ones when it is no news. */
export function withPulse(points: Point[], pulse: Pulse | null): Point[] {
  if (!pulse) return points;
  const at = Date.parse(pulse.at);
  const last = points.at(-1);
  if (last && at <= last.at) return points;
  const kept = points.filter((point) => point.at > at - hour);
  return [...kept, { at, cpu: pulse.cpu_percent, memory: pulse.memory_bytes }];
}

/** An SVG path through the values, newest at the right edge of a box of 100 x 24; a gap where nothing was measured. */
export function line(points: Point[], value: (point: Point) => number | null, most: number, now: number): string {
  const parts: string[] = [];
  const shown = span(points, now);
  let before: number | null = null;
  for (const point of points) {
    const size = value(point);
    if (size === null) {
      before = null;
      continue;
    }
    const x = Math.max(0, 100 - ((now - point.at) / shown) * 100);
    const y = 23 - (Math.min(size, most) / (most || 1)) * 21;
    // Minutes without a heartbeat are not drawn through.
    const joined = before !== null && point.at - before < hour / 10;
    parts.push(`${joined ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`);
    before = point.at;
  }
  return parts.join('');
}

/** How long a time is shown: as long as there are points, at least five minutes and at most an hour. */
function span(points: Point[], now: number): number {
  return Math.min(hour, Math.max(hour / 12, now - (points[0]?.at ?? now)));
}

/** The top of a chart: round, and never so low that noise looks like work. */
export function top(points: Point[], value: (point: Point) => number | null, least: number): number {
  const largest = Math.max(least, ...points.map((point) => value(point) ?? 0));
  const step = 10 ** Math.floor(Math.log10(largest));
  return Math.ceil(largest / step) * step;
}
