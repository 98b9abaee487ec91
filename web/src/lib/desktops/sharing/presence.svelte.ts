import { live } from '../../kernel/live.svelte';
import type { Session } from '../model';
import { sharingApi, type View, type Watcher } from './sharing-api';

/** Who looks at one's desktops, and who asks to; told live, and read when a page is opened. */
class Presence {
  #watchers = $state.raw<Record<string, Watcher[]>>({});
  #views = $state.raw<Record<string, View[]>>({});

  constructor() {
    live.on('vnc.watchers', (message) => this.#tell(String(message.session), message.watchers as Watcher[]));
    live.on('vnc.view', (message) => this.#accept(message.view as View));
  }

  watchers(id: string): Watcher[] {
    return this.#watchers[id] ?? [];
  }

  /** Questions that wait for an answer. */
  asked(session: Session): View[] {
    return (this.#views[session.id] ?? []).filter((view) => view.state === 'asked');
  }

  async readWatchers(id: string): Promise<void> {
    await sharingApi.watchers(id).then(
      (found) => this.#tell(id, found),
      () => undefined,
    );
  }

  async readViews(id: string): Promise<void> {
    await sharingApi.views(id).then(
      (found) => (this.#views = { ...this.#views, [id]: found }),
      () => undefined,
    );
  }

  #tell(id: string, found: Watcher[]): void {
    this.#watchers = { ...this.#watchers, [id]: found };
  }

  #accept(news: View): void {
    const others = (this.#views[news.session] ?? []).filter((view) => view.id !== news.id);
    this.#views = { ...this.#views, [news.session]: [...others, news] };
  }
}

export const presence = new Presence();
