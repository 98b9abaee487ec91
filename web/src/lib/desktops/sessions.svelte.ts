import { live } from '../kernel/live.svelte';
import { problemOf, type Problem } from '../kernel/problem';
import { router } from '../kernel/router.svelte';
import { myself } from '../identity/me.svelte';
import { desktopsApi } from './desktops-api';
import { ordered, withList, withNews, without, type Sessions } from './merge';
import { fitWindow, isShownAbove, type NewSession, type Options, type Session } from './model';
import { preloadViewer } from './view/viewer-loader';

/** The sessions this page knows of, kept current by live news and by re-reading after every reconnection. */
class SessionStore {
  #all = $state.raw<Sessions>({});
  options = $state.raw<Options | null>(null);
  loaded = $state(false);
  problem = $state<Problem | null>(null);
  everybody = $state(false);
  /** The one-click start: under way, or why it failed. */
  starting = $state(false);
  startProblem = $state<Problem | null>(null);
  /** Ids in news since a list was asked for; null while none is on its way. */
  #heard: Set<string> | null = null;
  #wanted = false;

  all = $derived(ordered(this.#all));
  mine = $derived(this.everybody ? this.all : this.all.filter((item) => item.owner.id === myself.me?.person.id));
  running = $derived(this.mine.filter(isShownAbove));
  ended = $derived(this.mine.filter((item) => !isShownAbove(item)));

  constructor() {
    live.on('vnc.session', (message) => this.accept(message.session as Session));
    live.on('vnc.session.gone', (message) => this.forget(String(message.id)));
    live.onOpen(() => this.#wanted && void this.load());
  }

  byId(id: string): Session | undefined {
    return this.#all[id];
  }

  accept(news: Session): void {
    this.#heard?.add(news.id);
    this.#all = withNews(this.#all, news);
  }

  forget(id: string): void {
    this.#heard?.add(id);
    this.#all = without(this.#all, id);
  }

  /** Reads the list now and again after every reconnection. */
  async load(): Promise<void> {
    this.#wanted = true;
    if (this.#heard) return;
    const heard = (this.#heard = new Set<string>());
    try {
      const [list, options] = await Promise.all([desktopsApi.list(this.everybody), desktopsApi.options()]);
      this.#all = withList(this.#all, list, heard);
      this.options = options;
      this.loaded = true;
      this.problem = null;
    } catch (error) {
      this.problem = problemOf(error);
    } finally {
      this.#heard = null;
    }
  }

  async showEverybody(everybody: boolean): Promise<void> {
    this.everybody = everybody;
    live.hearEverybody(everybody);
    await this.load();
  }

  /** Asks for a new session and goes to it. */
  async start(wish: NewSession): Promise<void> {
    preloadViewer();
    const session = await desktopsApi.create(wish);
    this.accept(session);
    router.go(`/desktops/${session.id}`);
  }

  /** The one click: usual time, the size of this window. */
  async startUsual(): Promise<void> {
    if (this.starting) return;
    this.starting = true;
    this.startProblem = null;
    try {
      await this.start(fitWindow(window.innerWidth, window.innerHeight, this.options));
    } catch (error) {
      this.startProblem = problemOf(error);
    } finally {
      this.starting = false;
    }
  }

  /** The same wish again; the failed one goes when the new one is there. */
  async startAgain(failed: Session): Promise<void> {
    await this.start({
      name: failed.name,
      width: failed.width,
      height: failed.height,
      time_limit_seconds: failed.time_limit_seconds ?? undefined,
    });
    await this.remove(failed.id).catch(() => undefined);
  }

  async end(id: string): Promise<void> {
    const news = await desktopsApi.end(id);
    if (news) this.accept(news);
  }

  async remove(id: string): Promise<void> {
    await desktopsApi.end(id);
    this.forget(id);
  }

  async rename(id: string, name: string): Promise<void> {
    this.accept(await desktopsApi.rename(id, name));
  }
}

export const sessions = new SessionStore();
