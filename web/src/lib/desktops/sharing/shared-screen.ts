import { myself } from '../../identity/me.svelte';
import { desktopsApi } from '../desktops-api';
import type { ScreenSource, Screened } from '../view/source';
import { sharingApi, type Shared } from './sharing-api';

/** A desktop that somebody shares by a link. The link is asked anew after each lost connection: it may be taken back. */
export class SharedScreen implements ScreenSource {
  readonly id: string;
  readonly url: string;
  #last: Screened;

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

  known(): Screened {
    return this.#last;
  }

  isCurrent(): boolean {
    return false;
  }

  mayAsk(): boolean {
    return myself.state !== 'ended';
  }

  async ask(): Promise<Screened> {
    const shared = await sharingApi.enter(this.token, this.name);
    this.told(shared);
    this.#last = screened(shared);
    return this.#last;
  }
}

/** A guest is not told the number of the display; that there is one is seen by trying. */
function screened(shared: Shared): Screened {
  const { state } = shared.session;
  return { state, display: state === 'starting' || state === 'ready' ? 0 : null };
}
