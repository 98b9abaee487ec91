import { live } from '../../kernel/live.svelte';
import { myself } from '../../identity/me.svelte';
import type { ScreenSource, ScreenState } from '../../screen/source';
import { desktopsApi } from '../desktops-api';
import { isOver, mayHaveScreen, type Session } from '../model';
import { sessions } from '../sessions.svelte';

/** What can be seen of a session. */
export function screenOf(session: Pick<Session, 'state' | 'display'>): ScreenState {
  if (isOver(session)) return 'over';
  if (!mayHaveScreen(session)) return 'coming';
  return session.state === 'ready' ? 'ready' : 'starting';
}

/** Tells of news of one session. */
export function onNewsOf(id: string, listener: () => void): () => void {
  const changed = live.on('vnc.session', (message) => (message.session as Session).id === id && listener());
  const gone = live.on('vnc.session.gone', (message) => message.id === id && listener());
  return () => (changed(), gone());
}

/** A desktop of one's own. */
export class OwnScreen implements ScreenSource {
  readonly url: string;

  constructor(readonly id: string) {
    this.url = desktopsApi.screenUrl(id);
  }

  known(): ScreenState | undefined {
    const session = sessions.byId(this.id);
    return session && screenOf(session);
  }

  isCurrent(): boolean {
    return live.state === 'open';
  }

  mayAsk(): boolean {
    return myself.state === 'yes';
  }

  async ask(): Promise<ScreenState> {
    const session = await desktopsApi.get(this.id);
    sessions.accept(session);
    return screenOf(session);
  }

  onNews(listener: () => void): () => void {
    return onNewsOf(this.id, listener);
  }
}
