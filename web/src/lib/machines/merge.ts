/** How news and lists of machines come together. Pure, because the order of arrival is where mistakes hide. */
import { isAtWork, type Machine, type Operation } from './model';

export type Machines = Record<string, Machine>;

/** One machine's news; what was told before something newer changes nothing. */
export function withNews(all: Machines, news: Machine): Machines {
  const have = all[news.id];
  return have && have.version > news.version ? all : { ...all, [news.id]: news };
}

export function without(all: Machines, id: string): Machines {
  if (!(id in all)) return all;
  const { [id]: _gone, ...rest } = all;
  return rest;
}

/** A whole list. What it lacks is gone, except what was heard of while the list was on its way (`heard`). */
export function withList(all: Machines, list: Machine[], heard: ReadonlySet<string>): Machines {
  const merged: Machines = {};
  for (const news of list) {
    const have = all[news.id];
    if (!have && heard.has(news.id)) continue; // heard of as gone
    const later = have && (have.version > news.version || (heard.has(news.id) && have.version === news.version));
    merged[news.id] = later ? have : news;
  }
  for (const id of heard) {
    const have = all[id];
    if (have && !merged[id]) merged[id] = have;
  }
  return merged;
}

/** How far the work on a machine is. What has ended is no longer at work; another one's end says nothing of this one. */
export function withOperation(all: Machines, operation: Operation): Machines {
  const machine = all[operation.machine_id];
  if (!machine) return all;
  const same = machine.operation?.id === operation.id;
  if (operation.state === 'running' || (operation.state === 'queued' && same))
    return { ...all, [machine.id]: { ...machine, operation } };
  if (same && !isAtWork(operation)) return { ...all, [machine.id]: { ...machine, operation: null } };
  return all;
}

/** Newest first; the same order for the same content, whoever came first. */
export function ordered(all: Machines): Machine[] {
  return Object.values(all).sort(
    (one, other) => other.created_at.localeCompare(one.created_at) || one.id.localeCompare(other.id),
  );
}
