import { live, permissionLost } from '../kernel/live.svelte';
import { problemOf, type Problem } from '../kernel/problem';
import { retryDelay } from '../kernel/retry';
import { myself } from '../identity/me.svelte';
import { loadViewer } from './loader';
import { takeScreen } from './socket';
import type { ScreenSource, ScreenState } from './source';
import type { Viewer, ViewerHost } from './viewer';

/** `waiting` for its start, `over` ended or failed, `gone` there is no such thing for this person. */
export type Phase = 'waiting' | 'connecting' | 'connected' | 'reconnecting' | 'over' | 'gone';

export interface ConnectionHost {
  screen: HTMLElement;
  field: HTMLTextAreaElement;
  /** Nothing that is done here may reach the other side. */
  watchOnly?: boolean;
  connected(viewer: Viewer): void;
  clipboard(text: string): void;
}

/** While the door opens, which takes moments, the portal refuses; then we ask again quickly. */
const doorDelay = 120;
/** A screen in one colour is a picture too, after so long. */
const bareDelay = 700;
/** A screen that is ready is painted in whole for a moment more. */
const settleDelay = 1000;

/** Holds the connection to one screen: waits for its start, connects, and comes back whatever happens. */
export class Connection {
  phase = $state<Phase>('waiting');
  /** There is something to see; what was last seen counts while reconnecting. */
  pictured = $state(false);
  attempts = $state(0);
  lostAt = $state<number | null>(null);
  /** The portal itself does not answer, not only this screen. */
  portalAway = $state(false);
  problem = $state<Problem | null>(null);
  /** The last picture of the connection before, shown until there is a new one. */
  frozen = $state.raw<HTMLCanvasElement | null>(null);
  viewer: Viewer | null = null;
  #stopped = false;
  #bare: ReturnType<typeof setTimeout> | undefined;
  #settling: ReturnType<typeof setTimeout> | undefined;
  #wake: () => void = () => {};
  #cleanUp: (() => void)[] = [];

  constructor(
    readonly source: ScreenSource,
    readonly host: ConnectionHost,
  ) {
    this.#cleanUp.push(live.onOpen(() => this.#wake()));
    this.#cleanUp.push(source.onNews(() => this.#news()));
    const wake = () => this.#wake();
    window.addEventListener('online', wake);
    document.addEventListener('visibilitychange', wake);
    this.#cleanUp.push(() => window.removeEventListener('online', wake));
    this.#cleanUp.push(() => document.removeEventListener('visibilitychange', wake));
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#bare);
    clearTimeout(this.#settling);
    for (const undo of this.#cleanUp) undo();
    this.viewer?.close();
    this.#wake();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const state = await this.#look();
      if (this.#stopped) return;
      if (state === 'gone' || state === 'over') {
        this.phase = state;
        return;
      } else if (!state) {
        await this.#pause(retryDelay(++this.attempts));
      } else if (state === 'coming') {
        await this.#pause(1000);
      } else {
        await this.#attempt(state);
      }
    }
  }

  /** What there is to see; null while nobody can say. */
  async #look(): Promise<ScreenState | 'gone' | null> {
    const known = this.source.known();
    // Live news is as good as asking, except when a connection to what is ready just failed.
    if (known && this.source.isCurrent() && (this.attempts === 0 || known !== 'ready')) return known;
    if (!this.source.mayAsk()) return null;
    try {
      const state = await this.source.ask();
      this.portalAway = false;
      this.problem = null;
      live.hurry();
      return state;
    } catch (error) {
      const problem = problemOf(error);
      if (problem.status === 404) return 'gone';
      if (problem.status !== 401) this.problem = problem;
      this.portalAway = problem.code === 'offline';
      return null;
    }
  }

  async #attempt(state: 'starting' | 'ready'): Promise<void> {
    if (this.phase === 'waiting') this.phase = 'connecting';
    const opening = takeScreen(this.source.url);
    try {
      const { Viewer } = await loadViewer();
      const opened = await opening;
      if (this.#stopped) return opened.socket.close();
      await this.#hold((host) => new Viewer(opened, host));
    } catch {
      void opening.then(({ socket }) => socket.close(), () => undefined);
      this.attempts += 1;
      // The phase goes back to waiting, so that the stages stay in view while the door opens.
      if (state === 'starting' && this.phase === 'connecting') this.phase = 'waiting';
      await this.#pause(state === 'starting' ? doorDelay : retryDelay(this.attempts));
    }
  }

  /** Lives with one connection until it closes. */
  async #hold(make: (host: ViewerHost) => Viewer): Promise<void> {
    let since = 0;
    const code = await new Promise<number>((resolve) => {
      const viewer = make({
        screen: this.host.screen,
        field: this.host.field,
        watchOnly: this.host.watchOnly ?? false,
        connected: () => {
          since = performance.now();
          this.phase = 'connected';
          this.attempts = 0;
          this.lostAt = null;
          this.host.connected(viewer);
        },
        pictured: (full) => {
          if (full) this.#show(true);
          else this.#showSoon();
        },
        clipboard: (text) => this.host.clipboard(text),
        closed: resolve,
      });
      this.viewer = viewer;
    });
    if (this.#stopped) return;
    if (this.pictured && !this.frozen) this.frozen = this.viewer?.canvas ?? null;
    this.viewer = null;
    if (this.source.known() === 'over') {
      this.phase = 'over';
    } else if (since > 0) {
      this.phase = 'reconnecting';
      this.lostAt = Date.now();
    }
    if (code === permissionLost) await myself.reload();
    // A door that opens and shuts at once is not hammered.
    this.attempts += 1;
    await this.#pause(performance.now() - since < 1000 ? retryDelay(this.attempts) : 0);
  }

  /** There is a picture of this connection; `whole`: it is the desktop's, not of its start. */
  #show(whole: boolean): void {
    clearTimeout(this.#bare);
    this.#bare = undefined;
    if (!this.viewer) return;
    this.frozen = null;
    this.pictured ||= whole;
    this.#settle();
  }

  #showSoon(): void {
    this.#bare ??= setTimeout(() => this.#show(this.source.known() === 'ready'), bareDelay);
  }

  #settle(): void {
    const { viewer } = this;
    if (!viewer || viewer.settled || !this.pictured || this.source.known() !== 'ready') return;
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => viewer.settle(), settleDelay);
  }

  #news(): void {
    const state = this.source.known();
    if (state === 'ready' && !this.pictured) this.#showSoon();
    this.#settle();
    if (state === 'over') this.viewer?.close();
    if (this.phase !== 'connected') this.#wake();
  }

  /** Waits, unless something happens before that makes a try worth it. */
  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
