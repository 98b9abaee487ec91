import { live } from '../kernel/live.svelte';
import { problemOf, type Problem } from '../kernel/problem';
import { router } from '../kernel/router.svelte';
import { myself } from '../identity/me.svelte';
import { desktopsApi } from './desktops-api';
import { ordered, withList, withNews, without, type Sessions } from './merge';
import { fitWindow, isShownAbove, type NewSession, type Options, type Session } from './model';
import { lastChoice } from './new/wish';
import { openAhead } from '../screen/socket';
import { preloadViewer } from './view/preload';

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
  #again = false;
  /** News of sessions that a start under way may have brought; null while there is none. */
  #held: Session[] | null = null;

  all = $derived(ordered(this.#all));
  own = $derived(this.all.filter((item) => item.owner.id === myself.me?.person.id));
  /** Those that the list shows. */
  mine = $derived(this.everybody ? this.all : this.own);
  running = $derived(this.mine.filter(isShownAbove));
  ended = $derived(this.mine.filter((item) => !isShownAbove(item)));

  constructor() {
    live.on('vnc.session', (message) => this.#hear(message.session as Session));
    live.on('vnc.session.gone', (message) => this.forget(String(message.id)));
    live.on('vnc.notice', () => void this.loadOptions());
    live.on('vnc.presets', () => void this.loadOptions());
    live.onOpen(() => this.#wanted && void this.load());
  }

  byId(id: string): Session | undefined {
    return this.#all[id];
  }

  /** Its news comes before the answer to the start: a card drawn for that moment would only delay the way to it. */
  #hear(news: Session): void {
    if (this.#held && !this.#all[news.id]) this.#held.push(news);
    else this.accept(news);
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

  /** Asks for a new session and goes to it; of several, to the list. */
  async start(wish: NewSession): Promise<void> {
    preloadViewer();
    const held = (this.#held ??= []);
    try {
      const made = [await desktopsApi.create(wish)].flat();
      for (const session of made) this.accept(session);
      const [first] = made;
      if (made.length === 1 && first?.state === 'ready') openAhead(desktopsApi.screenUrl(first.id));
      if (first) router.go(made.length === 1 ? `/desktops/${first.id}` : '/desktops');
    } finally {
      this.#held = null;
      for (const news of held) this.accept(news);
    }
    // The form opens the next time with what was chosen now.
    void this.loadOptions();
  }

  /** The one click: what was chosen last, in the size of this window. */
  async startUsual(): Promise<void> {
    if (this.starting) return;
    this.starting = true;
    this.startProblem = null;
    try {
      const fitted = fitWindow(window.innerWidth, window.innerHeight, this.options);
      await this.start({ ...fitted, ...(this.options?.chosen ? lastChoice(this.options, fitted) : {}) });
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
      notes: failed.notes || undefined,
      preset: this.options?.presets?.some((one) => one.id === failed.preset?.id) ? failed.preset?.id : undefined,
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

  async describe(id: string, said: { name: string; notes: string }): Promise<void> {
    this.accept(await desktopsApi.describe(id, said));
  }

  async extend(id: string, seconds: number): Promise<Session> {
    const news = await desktopsApi.extend(id, seconds);
    this.accept(news);
    return news;
  }

  async keep(id: string): Promise<void> {
    this.accept(await desktopsApi.keep(id));
  }

  /** What may be started, and what operators want to be known. */
  async loadOptions(): Promise<void> {
    try {
      this.options = await desktopsApi.options();
    } catch {
      // What is known stays; the next load of the list tells of trouble.
    }
  }
}

export const sessions = new SessionStore();
