/** The order and the choice of a long list of machines. Pure. */
import { holding, ordered } from '../../kernel/order';
import { machineStates, type Machine, type MachineState } from '../model';
import { mediumWords } from '../telling';

export const columns = ['name', 'state', 'owner', 'installation', 'boots', 'medium', 'memory', 'cpus', 'disk', 'host', 'created'] as const;
export type Column = (typeof columns)[number];
export interface Sorting {
  column: Column;
  down: boolean;
}

const keys: Record<Column, (machine: Machine) => string | number> = {
  name: (machine) => machine.name,
  state: (machine) => machineStates.indexOf(machine.state),
  owner: (machine) => machine.owner.name,
  installation: (machine) => machine.installation_status,
  boots: (machine) => machine.boot_order,
  medium: mediumWords,
  memory: (machine) => machine.memory_bytes,
  cpus: (machine) => machine.cpus,
  disk: (machine) => machine.disk_size,
  host: (machine) => machine.host,
  created: (machine) => -Date.parse(machine.created_at),
};

export function sorted(list: Machine[], { column, down }: Sorting, language: string): Machine[] {
  return ordered(list, keys[column], down, language);
}

export function filtered(list: Machine[], text: string, state: MachineState | ''): Machine[] {
  const wanted = state ? list.filter((one) => one.state === state) : list;
  return holding(wanted, text, searched);
}

function searched(machine: Machine): string[] {
  return [machine.name, machine.notes, machine.owner.name, machine.host, mediumWords(machine)];
}
