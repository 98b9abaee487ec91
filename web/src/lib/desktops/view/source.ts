import { live } from '../../kernel/live.svelte';
import { myself } from '../../identity/me.svelte';
import { desktopsApi } from '../desktops-api';
import type { Session } from '../model';
import { sessions } from '../sessions.svelte';

/** As much of a session as a connection to its screen needs. */
export type Screened = Pick<Session, 'state' | 'display'>;

/** Whose screen is looked at, and by what right. */
export interface ScreenSource {
  readonly id: string;
  readonly url: string;
  /** What is known of it here. */
  known(): Screened | undefined;
  /** Whether news of it arrives by itself now. */
  isCurrent(): boolean;
  mayAsk(): boolean;
  /** Asks the portal. Throws ApiError; 404 means that there is nothing to see any more. */
  ask(): Promise<Screened>;
}

/** A desktop of one's own. */
export class OwnScreen implements ScreenSource {
  readonly url: string;

  constructor(readonly id: string) {
    this.url = desktopsApi.screenUrl(id);
  }

  known(): Session | undefined {
    return sessions.byId(this.id);
  }

  isCurrent(): boolean {
    return live.state === 'open';
  }

  mayAsk(): boolean {
    return myself.state === 'yes';
  }

  async ask(): Promise<Session> {
    const session = await desktopsApi.get(this.id);
    sessions.accept(session);
    return session;
  }
}
