/** By how much a desktop's time can be extended. Pure. */
import type { Session } from '../model';

const hour = 3600;
/** Less than that is not worth a request; the portal refuses it too. */
const least = 60;
const usual = [hour, 2 * hour, 4 * hour];

export interface Extension {
  seconds: number;
  /** As far as it is allowed at all. */
  most: boolean;
}

/** +1 h, +2 h, +4 h as far as they are possible, and the longest. Empty: it cannot be extended. */
export function extensions(session: Session): Extension[] {
  if (!session.extendable_until || !session.ends_at) return [];
  const most = Math.floor((Date.parse(session.extendable_until) - Date.parse(session.ends_at)) / 1000);
  if (most < least) return [];
  const rounds = usual.filter((seconds) => seconds < most);
  return [...rounds.map((seconds) => ({ seconds, most: false })), { seconds: most, most: true }];
}

export function canExtend(session: Session): boolean {
  return extensions(session).length > 0;
}
