import { live } from '../../kernel/live.svelte';
import { desktopsApi } from '../desktops-api';
import type { Session } from '../model';
import { withPulse, type Point } from './points';

/** The last hour of each session that is looked at: read once, then continued by the heartbeats that arrive. */
class Measures {
  #points = $state.raw<Record<string, Point[]>>({});
  #asked = new Set<string>();

  constructor() {
    live.on('vnc.session', (message) => this.#heard(message.session as Session));
    live.on('vnc.session.gone', (message) => this.#forget(String(message.id)));
    // What came while the line was cut is in the portal's answer.
    live.onOpen(() => this.#asked.clear());
  }

  of(id: string): Point[] {
    return this.#points[id] ?? [];
  }

  /** Reads the hour of a session, unless that was done. */
  async want(id: string): Promise<void> {
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    try {
      const { points } = await desktopsApi.measures(id);
      this.#points = { ...this.#points, [id]: points.map(([at, cpu, memory]) => ({ at: at * 1000, cpu, memory })) };
    } catch {
      // The heartbeats draw it from now on.
    }
  }

  #heard(session: Session): void {
    if (!this.#asked.has(session.id)) return;
    const have = this.of(session.id);
    const now = withPulse(have, session.pulse);
    if (now !== have) this.#points = { ...this.#points, [session.id]: now };
  }

  #forget(id: string): void {
    this.#asked.delete(id);
    const { [id]: _gone, ...rest } = this.#points;
    this.#points = rest;
  }
}

export const measures = new Measures();
