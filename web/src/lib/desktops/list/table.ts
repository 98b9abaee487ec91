/** The order and the choice of a long list. Pure. */
import { holding, ordered } from '../../kernel/order';
import { shownState, type Session, type ShownState } from '../model';

export const columns = ['name', 'state', 'owner', 'preset', 'partition', 'node', 'age', 'memory', 'cpu', 'idle', 'left'] as const;
export type Column = (typeof columns)[number];
export interface Sorting {
  column: Column;
  down: boolean;
}

const stateOrder: ShownState[] = ['failed', 'unknown', 'requested', 'waiting', 'starting', 'ready', 'ending', 'ended'];

const keys: Record<Column, (session: Session) => string | number> = {
  name: (session) => session.name,
  state: (session) => stateOrder.indexOf(shownState(session)),
  owner: (session) => session.owner.name,
  preset: (session) => session.preset?.name ?? '',
  partition: (session) => session.resources?.partition ?? '',
  node: (session) => session.node ?? '',
  age: (session) => -Date.parse(session.created_at),
  memory: (session) => session.pulse?.memory_bytes ?? -1,
  cpu: (session) => session.pulse?.cpu_percent ?? -1,
  idle: (session) => session.pulse?.idle_seconds ?? -1,
  left: (session) => (session.ends_at ? Date.parse(session.ends_at) : Number.MAX_SAFE_INTEGER),
};

export function sorted(list: Session[], { column, down }: Sorting, language: string): Session[] {
  return ordered(list, keys[column], down, language);
}

export function filtered(list: Session[], text: string, state: ShownState | ''): Session[] {
  const wanted = state ? list.filter((one) => shownState(one) === state) : list;
  return holding(wanted, text, searched);
}

function searched(session: Session): string[] {
  const { name, notes, node, owner, preset, resources, job } = session;
  return [name, notes, node ?? '', owner.name, preset?.name ?? '', resources?.partition ?? '', job ?? ''];
}
