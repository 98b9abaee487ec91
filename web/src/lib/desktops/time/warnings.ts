/** When a person is warned that a desktop ends. Pure. */
import type { Session } from '../model';

/** Seconds before the end at which it is said. */
export const warnings = [900, 300] as const;
/** Seconds before the end from which the button to extend is in view. */
export const nearEnd = 1800;

/** The last warning that is due with so many seconds left; null while none is. */
export function lastWarning(left: number | null): number | null {
  if (left === null) return null;
  return warnings.findLast((seconds) => left <= seconds) ?? null;
}

export function secondsLeft(session: Session | undefined, now: number): number | null {
  return session?.ends_at ? (Date.parse(session.ends_at) - now) / 1000 : null;
}

/** When it is stopped for being idle, once it was warned of; null while that is not in sight. */
export function idleStopsAt(session: Session): number | null {
  if (!session.idle_warned_at || session.state !== 'ready') return null;
  const said = session.pulse?.idle_stops_at;
  if (said) return Date.parse(said);
  const times = [session.pulse?.idle_since, session.kept_at, session.ready_at].filter((at): at is string => Boolean(at));
  return times.length ? Math.max(...times.map((at) => Date.parse(at))) + session.idle_stop_seconds * 1000 : null;
}
