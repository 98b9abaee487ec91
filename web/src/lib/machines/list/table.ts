/** The order and the choice of a long list of machines. Pure. */
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
  const key = keys[column];
  const words = new Intl.Collator(language, { numeric: true });
  const compare = (one: Machine, other: Machine) => {
    const [first, second] = [key(one), key(other)];
    if (typeof first === 'string' && typeof second === 'string') return words.compare(first, second);
    return Number(first) - Number(second);
  };
  return [...list].sort((one, other) => (down ? -1 : 1) * compare(one, other) || words.compare(one.id, other.id));
}

export function filtered(list: Machine[], text: string, state: MachineState | ''): Machine[] {
  const wish = text.trim().toLowerCase();
  return list.filter(
    (machine) =>
      (!state || machine.state === state) &&
      (!wish || searched(machine).some((word) => word.toLowerCase().includes(wish))),
  );
}

function searched(machine: Machine): string[] {
  return [machine.name, machine.notes, machine.owner.name, machine.host, mediumWords(machine)];
}
