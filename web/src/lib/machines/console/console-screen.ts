import { live } from '../../kernel/live.svelte';
import { myself } from '../../identity/me.svelte';
import type { ScreenSource, ScreenState } from '../../screen/source';
import { machinesApi } from '../machines-api';
import { machines } from '../machines.svelte';
import { hasScreen, type Machine } from '../model';

/** The screen of a machine. It is never over: a machine that is off may start again. */
export class ConsoleScreen implements ScreenSource {
  readonly url: string;

  constructor(readonly id: string) {
    this.url = machinesApi.consoleUrl(id);
  }

  known(): ScreenState | undefined {
    const machine = machines.byId(this.id);
    return machine && screenOf(machine);
  }

  isCurrent(): boolean {
    return live.state === 'open';
  }

  mayAsk(): boolean {
    return myself.state === 'yes';
  }

  async ask(): Promise<ScreenState> {
    const machine = await machinesApi.get(this.id);
    machines.accept(machine);
    return screenOf(machine);
  }

  onNews(listener: () => void): () => void {
    const changed = live.on('machines.machine', (message) => (message.machine as Machine).id === this.id && listener());
    const gone = live.on('machines.machine.gone', (message) => message.id === this.id && listener());
    return () => (changed(), gone());
  }
}

function screenOf(machine: Machine): ScreenState {
  return hasScreen(machine) ? 'ready' : 'coming';
}
