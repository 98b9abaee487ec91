import { notices } from '../kernel/notices.svelte';
import { problemOf, type Problem } from '../kernel/problem';
import { machinesApi } from './machines-api';
import { machines } from './machines.svelte';
import { diskFirst, type Act, type BootOrder, type Machine } from './model';
import { machineWords } from './words';

export type DialogName = 'act' | 'apply' | 'insert' | 'describe' | 'remove' | 'grow' | 'preset' | 'clone' | 'share' | 'hardware';

/** Which dialog is open about which machine; drawn once, by MachineDialogs. */
class OpenDialog {
  name = $state<DialogName | null>(null);
  machineId = $state('');
  /** Of "act". */
  act = $state<Act>('shut_down');
  /** Of "insert": the drive. */
  target = $state<string | undefined>();

  show(name: DialogName, machine: Pick<Machine, 'id'>, more: { act?: Act; target?: string } = {}): void {
    this.name = name;
    this.machineId = machine.id;
    this.act = more.act ?? 'shut_down';
    this.target = more.target;
  }

  close(): void {
    this.name = null;
  }
}

export const dialog = new OpenDialog();

/** Where on the page something was done, and where its refusal is told. */
export type Part = 'power' | 'boot' | 'media' | 'installation' | 'disk' | 'disks' | 'hardware' | 'operation' | 'about' | 'copies';

export interface Doing {
  part: Part;
  busy: boolean;
  problem: Problem | null;
  /** The same with force, where a drive was held. */
  forced?: () => void;
}

/** What is being done with machines, or why it could not be, one at a time for each. */
class Doings {
  #all = $state.raw<Record<string, Doing>>({});

  of(id: string): Doing | undefined {
    return this.#all[id];
  }

  busy(id: string): boolean {
    return this.#all[id]?.busy ?? false;
  }

  problem(id: string, part?: Part): Problem | null {
    const doing = this.#all[id];
    return doing && (!part || doing.part === part) ? doing.problem : null;
  }

  clear(id: string): void {
    const { [id]: _old, ...rest } = this.#all;
    this.#all = rest;
  }

  /** Does it, takes what it tells of the machine, and gives whether it worked. */
  async run(
    machine: Pick<Machine, 'id'>,
    part: Part,
    work: () => Promise<Machine | void>,
    forced?: () => void,
  ): Promise<boolean> {
    const { id } = machine;
    machines.dismissEnded(id);
    this.#all = { ...this.#all, [id]: { part, busy: true, problem: null } };
    try {
      const news = await work();
      if (news) machines.accept(news);
      this.clear(id);
      return true;
    } catch (error) {
      const problem = problemOf(error);
      this.#all = { ...this.#all, [id]: { part, busy: false, problem, forced } };
      // It is another one than the page showed: look how it is, so that the next try starts from there.
      if (problem.status === 412 || problem.status === 409) await machines.look(id).catch(() => undefined);
      if (problem.status === 404) await machines.load();
      return false;
    }
  }
}

export const doings = new Doings();

const asks: Act[] = ['shut_down', 'restart', 'reset', 'force_off'];

/** Does it, or asks before it where work can be lost or interrupted. */
export function act(machine: Machine, what: Act): void {
  if (asks.includes(what)) dialog.show('act', machine, { act: what });
  else void doings.run(machine, 'power', () => machinesApi.act(machine.id, what));
}

export async function setBootOrder(machine: Machine, order: BootOrder): Promise<boolean> {
  const done = await doings.run(machine, 'boot', () => machinesApi.setBootOrder(machine.id, order, machine.etag));
  const words = machineWords();
  const now = machines.byId(machine.id);
  if (done && !now?.pending.length) notices.say(words.boot.saved(words.orders[order]));
  return done;
}

/** Lets it boot its disk first and starts it. */
export async function useDisk(machine: Machine): Promise<void> {
  if (await setBootOrder(machine, diskFirst)) {
    const now = machines.byId(machine.id);
    if (now && (now.state === 'shut_off' || now.state === 'crashed')) act(now, 'start');
  }
}

export async function insert(machine: Machine, iso: { path: string; name: string }, target?: string, force = false): Promise<boolean> {
  const again = () => void insert(machine, iso, target, true);
  const done = await doings.run(machine, 'media', () => machinesApi.insert(machine.id, iso.path, target, force), again);
  if (done) notices.say(machineWords().media.inserted(iso.name));
  return done;
}

export async function eject(machine: Machine, target?: string, force = false): Promise<boolean> {
  const again = () => void eject(machine, target, true);
  const done = await doings.run(machine, 'media', () => machinesApi.eject(machine.id, target, force), again);
  if (done) notices.say(machineWords().media.ejected);
  return done;
}
