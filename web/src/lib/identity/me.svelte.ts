import { session } from '../kernel/api';
import { i18n } from '../kernel/i18n/index.svelte';
import { pickLanguage, type Language } from '../kernel/i18n/languages';
import { live } from '../kernel/live.svelte';
import { ApiError, problemOf, type Problem } from '../kernel/problem';
import { remember } from '../kernel/stored';
import { identityApi } from './identity-api';
import type { Me, Permission } from './model';

type SignedIn = 'asking' | 'no' | 'yes' | 'ended' | 'unreachable';

/** Who is signed in. `ended`: the sign-in ended under an open page, which stays as it is behind a new sign-in. */
class Myself {
  state = $state<SignedIn>('asking');
  me = $state<Me | null>(null);
  problem = $state<Problem | null>(null);

  constructor() {
    session.signedOut = () => this.#lost();
    session.refreshToken = () => this.#refreshToken();
    i18n.chosen = (language) => void this.#keepLanguage(language);
    live.on('signed_out', () => void this.#check());
    live.on('person.changed', () => void this.reload());
  }

  async start(): Promise<void> {
    this.problem = null;
    try {
      await this.accept(await identityApi.me());
    } catch (error) {
      this.problem = problemOf(error);
      this.state = error instanceof ApiError && error.problem.status === 401 ? 'no' : 'unreachable';
    }
  }

  /** Takes the server's answer to a sign-in, a link or a look. */
  async accept(me: Me): Promise<void> {
    this.me = me;
    session.csrfToken = me.csrf_token;
    if (me.person.language) await i18n.use(pickLanguage(me.person.language, navigator.languages));
    this.state = 'yes';
    remember('signed-in', 'yes');
    live.start();
  }

  async reload(): Promise<void> {
    try {
      await this.accept(await identityApi.me());
    } catch (error) {
      if (error instanceof ApiError && error.problem.status === 401) this.#lost();
    }
  }

  /** Forgets everything of the person in this page. */
  forget(): void {
    live.stop();
    session.csrfToken = '';
    this.me = null;
    this.state = 'no';
    remember('signed-in', null);
  }

  may(permission: Permission): boolean {
    return this.me?.permissions.includes(permission) ?? false;
  }

  offers(service: string): boolean {
    return this.me?.site.services.includes(service) ?? false;
  }

  #lost(): void {
    if (this.state !== 'yes') return;
    live.stop();
    this.state = 'ended';
  }

  /** The live socket was told to go; only the server knows whether the sign-in itself is over. */
  async #check(): Promise<void> {
    live.stop();
    try {
      await this.accept(await identityApi.me());
    } catch {
      this.#lost();
    }
  }

  async #keepLanguage(language: Language): Promise<void> {
    if (this.state !== 'yes' || !this.me) return;
    try {
      this.me.person = await identityApi.change({ language });
    } catch {
      // This browser remembers it all the same.
    }
  }

  async #refreshToken(): Promise<boolean> {
    try {
      session.csrfToken = (await identityApi.me()).csrf_token;
      return true;
    } catch {
      return false;
    }
  }
}

export const myself = new Myself();
