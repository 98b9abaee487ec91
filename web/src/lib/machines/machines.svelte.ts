import { live } from '../kernel/live.svelte';
import { problemOf, type Problem } from '../kernel/problem';
import { myself } from '../identity/me.svelte';
import { machinesApi } from './machines-api';
import { ordered, withList, withNews, without, withOperation, type Machines } from './merge';
import { hasScreen, type Iso, type Machine, type NewMachine, type Operation, type Options, type Share } from './model';

/** The machines this page knows of, kept current by live news and by re-reading after every reconnection. */
class MachineStore {
  #all = $state.raw<Machines>({});
  options = $state.raw<Options | null>(null);
  isos = $state.raw<Iso[] | null>(null);
  loaded = $state(false);
  problem = $state<Problem | null>(null);
  everybody = $state(false);
  /** Told of work that has ended; the last one of each machine. */
  ended = $state.raw<Record<string, Operation>>({});
  /** Ids in news since a list was asked for; null while none is on its way. */
  #heard: Set<string> | null = null;
  /** Up to which version those that are gone are gone: an answer that was on its way may come after that. */
  #gone: Record<string, number> = {};
  #again = false;
  #wanted = false;
  #isosWanted = false;

  all = $derived(ordered(this.#all));
  /** One's own, and those that others share. */
  own = $derived(this.all.filter((item) => this.right(item) !== 'manage'));
  /** Those that the list shows. */
  shown = $derived(this.everybody ? this.all : this.own);

  constructor() {
    live.on('machines.machine', (message) => this.accept(message.machine as Machine));
    live.on('machines.machine.gone', (message) => this.forget(String(message.id), message.version as number | undefined));
    live.on('machines.operation', (message) => this.#work(message.operation as Operation));
    live.on('machines.isos', () => this.#isosWanted && void this.loadIsos());
    live.onOpen(() => {
      if (this.#wanted) void this.load();
      if (this.#isosWanted) void this.loadIsos();
    });
  }

  byId(id: string): Machine | undefined {
    return this.#all[id];
  }

  /** By what right it is here: one's own, shared to be looked at or used, or as an operator. */
  right(machine: Machine): 'own' | Share['mode'] | 'manage' {
    if (machine.owner.id === myself.me?.person.id) return 'own';
    return machine.shares.find((share) => share.person_id === myself.me?.person.id)?.mode ?? 'manage';
  }

  /** Its screen is there and may be looked at: not by operators, whose it is not. */
  maySee(machine: Machine): boolean {
    return hasScreen(machine) && this.right(machine) !== 'manage';
  }

  /** And used. */
  mayOpen(machine: Machine): boolean {
    return this.maySee(machine) && this.right(machine) !== 'view';
  }

  /** Turn it on and off, choose what it boots. */
  mayOperate(machine: Machine): boolean {
    return this.right(machine) !== 'view';
  }

  /** Everything else of it. */
  mayManage(machine: Machine): boolean {
    return ['own', 'manage'].includes(this.right(machine));
  }

  accept(news: Machine): void {
    if (news.version <= (this.#gone[news.id] ?? 0)) return;
    this.#heard?.add(news.id);
    this.#all = withNews(this.#all, news);
  }

  /** `version`: what it was when it was shared no more; news of later ones may come. Without: it is no more at all. */
  forget(id: string, version = Infinity): void {
    this.#gone[id] = version;
    this.#heard?.add(id);
    this.#all = without(this.#all, id);
  }

  #work(operation: Operation): void {
    this.#heard?.add(operation.machine_id);
    this.#all = withOperation(this.#all, operation);
    if (operation.ended_at) this.ended = { ...this.ended, [operation.machine_id]: operation };
  }

  /** What was said of ended work has been read. */
  dismissEnded(id: string): void {
    const { [id]: _read, ...rest } = this.ended;
    this.ended = rest;
  }

  /** Reads the list now and again after every reconnection. */
  async load(): Promise<void> {
    this.#wanted = true;
    if (this.#heard) return;
    const heard = (this.#heard = new Set<string>());
    try {
      const [list, options] = await Promise.all([machinesApi.list(this.everybody), machinesApi.options()]);
      this.#all = withList(this.#all, list, heard);
      this.options = options;
      this.loaded = true;
      this.problem = null;
    } catch (error) {
      this.problem = problemOf(error);
    } finally {
      this.#heard = null;
    }
    if (this.#again) {
      this.#again = false;
      await this.load();
    }
  }

  async showEverybody(everybody: boolean): Promise<void> {
    this.everybody = everybody;
    live.hearEverybody(everybody);
    // A list that is on its way is not the one that is wanted now.
    if (this.#heard) this.#again = true;
    else await this.load();
  }

  /** One machine, which the list may not hold: somebody else's. */
  async look(id: string): Promise<void> {
    this.accept(await machinesApi.get(id));
  }

  /** Room, limits and presets as they are now. */
  async loadOptions(): Promise<void> {
    try {
      this.options = await machinesApi.options();
    } catch {
      // What is known stays; the next load of the list tells of trouble.
    }
  }

  async loadIsos(): Promise<void> {
    this.#isosWanted = true;
    this.isos = await machinesApi.isos();
  }

  async create(wish: NewMachine): Promise<Machine> {
    const made = await machinesApi.create(wish);
    this.accept(made);
    return made;
  }

  async remove(machine: Machine, disks: 'remove' | 'keep'): Promise<void> {
    const news = await machinesApi.remove(machine.id, machine.name, disks);
    if (news) this.accept(news);
    else this.forget(machine.id);
  }
}

export const machines = new MachineStore();

/** Whether the form for a new machine is wanted; it can be asked for before the list is there. */
class NewMachineForm {
  asked = $state(false);

  ask(): void {
    this.asked = true;
  }

  close(): void {
    this.asked = false;
  }
}

export const newMachine = new NewMachineForm();
