import { myself } from '../../identity/me.svelte';
import type { ScreenSource, ScreenState } from '../../screen/source';
import { desktopsApi } from '../desktops-api';
import { onNewsOf, screenOf } from '../view/own-screen';
import { sharingApi, type Shared } from './sharing-api';

/** A desktop that somebody shares by a link. The link is asked anew after each lost connection: it may be taken back. */
export class SharedScreen implements ScreenSource {
  readonly id: string;
  readonly url: string;
  #last: ScreenState;

  constructor(
    shared: Shared,
    readonly token: string,
    readonly name: string,
    readonly told: (shared: Shared) => void,
  ) {
    this.id = shared.session.id;
    this.url = desktopsApi.screenUrl(this.id);
    this.#last = screened(shared);
  }

  known(): ScreenState {
    return this.#last;
  }

  isCurrent(): boolean {
    return false;
  }

  mayAsk(): boolean {
    return myself.state !== 'ended';
  }

  async ask(): Promise<ScreenState> {
    const shared = await sharingApi.enter(this.token, this.name);
    this.told(shared);
    this.#last = screened(shared);
    return this.#last;
  }

  onNews(listener: () => void): () => void {
    return onNewsOf(this.id, listener);
  }
}

/** A guest is not told the number of the display; that there is one is seen by trying. */
function screened(shared: Shared): ScreenState {
  const { state } = shared.session;
  return screenOf({ state, display: state === 'starting' || state === 'ready' ? 0 : null });
}
