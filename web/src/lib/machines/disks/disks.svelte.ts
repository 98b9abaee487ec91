import { live } from '../../kernel/live.svelte';
import { problemOf, type Problem } from '../../kernel/problem';
import { machinesApi } from '../machines-api';
import { machines } from '../machines.svelte';
import type { FurtherDisk, Machine } from '../model';

/** One's own further disks, read anew whenever the portal tells that they are others or elsewhere. */
class DiskStore {
  own = $state.raw<FurtherDisk[] | null>(null);
  problem = $state<Problem | null>(null);
  /** Counts what was told; whoever shows the disks of one machine reads them again. */
  changes = $state(0);
  #wanted = false;
  #reading = 0;

  free = $derived((this.own ?? []).filter((disk) => disk.machine_id === null));

  constructor() {
    live.on('machines.disks', () => this.changed());
    live.onOpen(() => this.changed());
  }

  changed(): void {
    this.changes += 1;
    if (this.#wanted) void this.load();
  }

  async load(): Promise<void> {
    this.#wanted = true;
    const mine = ++this.#reading;
    try {
      const own = await machinesApi.ownDisks();
      if (mine !== this.#reading) return; // asked again meanwhile
      this.own = own;
      this.problem = null;
    } catch (error) {
      this.problem = problemOf(error);
    }
  }
}

export const disks = new DiskStore();

/** Machines that could take a disk: of the same person, on its host. */
export function placesFor(disk: FurtherDisk, source: Machine | undefined): Machine[] {
  return machines.all.filter(
    (one) =>
      one.id !== disk.machine_id &&
      one.host === disk.host &&
      (source ? one.owner.id === source.owner.id : machines.right(one) === 'own') &&
      !['creating', 'failed'].includes(one.state),
  );
}
