/** How news and lists come together. Pure, because the order of arrival is where mistakes hide. */
import type { Session } from './model';

export type Sessions = Record<string, Session>;

/** Whether `news` may replace what we have: a list asked for earlier can arrive after newer live news. */
export function isNewer(have: Session | undefined, news: Session): boolean {
  if (!have) return true;
  if (news.version !== have.version) return news.version > have.version;
  return (news.pulse?.at ?? '') >= (have.pulse?.at ?? '');
}

/** One session's news; the same object comes back when it changes nothing. */
export function withNews(all: Sessions, news: Session): Sessions {
  return isNewer(all[news.id], news) ? { ...all, [news.id]: news } : all;
}

export function without(all: Sessions, id: string): Sessions {
  if (!(id in all)) return all;
  const { [id]: _gone, ...rest } = all;
  return rest;
}

/** A whole list. What it lacks is gone, except what was heard of while the list was on its way (`heard`). */
export function withList(all: Sessions, list: Session[], heard: ReadonlySet<string>): Sessions {
  const merged: Sessions = {};
  for (const news of list) {
    const have = all[news.id];
    if (!have && heard.has(news.id)) continue; // heard of as gone
    merged[news.id] = have && !isNewer(have, news) ? have : news;
  }
  for (const id of heard) {
    const have = all[id];
    if (have && !merged[id]) merged[id] = have;
  }
  return merged;
}

/** Newest first; the same order for the same content, whoever came first. */
export function ordered(all: Sessions): Session[] {
  return Object.values(all).sort(
    (one, other) => other.created_at.localeCompare(one.created_at) || one.id.localeCompare(other.id),
  );
}
