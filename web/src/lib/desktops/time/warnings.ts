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

/** When it is stopped for being idle, once it was warned of; null while that is not in sight. As the portal's rules. */
export function idleStopsAt(session: Session, warning = 300): number | null {
  if (!session.idle_warned_at || session.state !== 'ready') return null;
  const stop = session.idle_stop_seconds * 1000;
  const times = [session.pulse?.idle_since, session.kept_at, session.ready_at].filter((at): at is string => Boolean(at));
  // Whoever was away gets the whole warning.
  const warned = Date.parse(session.idle_warned_at) + Math.min(warning * 1000, stop / 2);
  return Math.max(warned, ...times.map((at) => Date.parse(at) + stop));
}
