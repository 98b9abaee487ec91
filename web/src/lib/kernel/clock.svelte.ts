import { onDestroy } from 'svelte';

/** The server's time, ticking once a second while somebody looks. */
class Clock {
  now = $state(Date.now());
  #ahead = 0;

  constructor() {
    setInterval(() => {
      if (document.visibilityState === 'visible') this.now = this.read();
    }, 1000);
    document.addEventListener('visibilitychange', () => (this.now = this.read()));
  }

  /** Milliseconds since the epoch, as the server sees it. */
  read(): number {
    return Date.now() + this.#ahead;
  }

  /** Takes a Date header, which is good to a second: only a difference beyond that tells of a wrong clock here. */
  learn(date: string | null): void {
    const said = date ? Date.parse(date) : Number.NaN;
    if (Number.isNaN(said)) return;
    const ahead = said + 500 - Date.now();
    if (Math.abs(ahead) < 2000) this.#ahead = 0;
    else if (Math.abs(ahead - this.#ahead) > 1500) this.#ahead = ahead;
  }
}

export const clock = new Clock();

/** A clock for counting tenths, alive as long as the component that asks for it. */
export function quickClock(): { readonly now: number } {
  let now = $state(clock.read());
  const timer = setInterval(() => (now = clock.read()), 100);
  onDestroy(() => clearInterval(timer));
  return {
    get now() {
      return now;
    },
  };
}
