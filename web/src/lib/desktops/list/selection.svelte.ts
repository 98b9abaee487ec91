import { SvelteSet } from 'svelte/reactivity';

/** Which desktops of a list are chosen to do something with together. */
class Selection {
  on = $state(false);
  #ids = new SvelteSet<string>();

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  toggle(id: string): void {
    if (!this.#ids.delete(id)) this.#ids.add(id);
  }

  set(ids: Iterable<string>): void {
    this.#ids.clear();
    for (const id of ids) this.#ids.add(id);
  }

  start(): void {
    this.on = true;
  }

  stop(): void {
    this.on = false;
    this.#ids.clear();
  }
}

export const selection = new Selection();
