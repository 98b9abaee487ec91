import { api } from '../../kernel/api';
import { base, of } from '../desktops-api';
import type { SessionState } from '../model';

export type ShareMode = 'view' | 'control';

export interface Share {
  id: string;
  mode: ShareMode;
  label: string;
  guests: boolean;
  created_at: string;
  expires_at: string;
  /** How many look by it now. */
  watching: number;
}

export interface NewShare {
  mode: ShareMode;
  expires_in_seconds: number;
  label?: string;
  guests: boolean;
}

/** Somebody who looks at a desktop now, through any portal. `share`: the link, or the consent, by which they came. */
export interface Watcher {
  id: string;
  name: string;
  mode: ShareMode;
  since: string;
  via: 'owner' | 'link' | 'operator';
  person: string | null;
  share: string | null;
}

/** An operator's question whether to look, and what became of it. */
export interface View {
  id: string;
  session: string;
  by: string;
  state: 'asked' | 'active' | 'refused' | 'revoked' | 'expired';
  created_at: string;
  /** Of the question while it is asked, then of the consent. */
  expires_at: string;
}

/** What somebody who has a link is told of the desktop. */
export interface Shared {
  session: {
    id: string;
    name: string;
    owner_name: string;
    state: SessionState;
    width: number;
    height: number;
  };
  mode: ShareMode;
  expires_at: string;
}

const viewOf = (id: string, view: string) => of(id, `/views/${encodeURIComponent(view)}`);

export const sharingApi = {
  list: (id: string) => api<Share[]>('GET', of(id, '/shares')),
  make: (id: string, wish: NewShare) => api<Share & { link: string }>('POST', of(id, '/shares'), { body: wish }),
  revoke: (id: string, share: string) => api<void>('DELETE', of(id, `/shares/${encodeURIComponent(share)}`)),
  watchers: (id: string) => api<Watcher[]>('GET', of(id, '/watchers')),
  views: (id: string) => api<View[]>('GET', of(id, '/views')),
  /** As an operator: asks the owner. */
  ask: (id: string) => api<View>('POST', of(id, '/views')),
  view: (id: string, view: string) => api<View>('GET', viewOf(id, view)),
  /** As the owner: the answer to an operator. */
  answer: (id: string, view: string, allow: boolean, minutes: number) =>
    api<View>('POST', `${viewOf(id, view)}/answer`, { body: { allow, minutes } }),
  /** Withdraws a question, or ends a consent; whoever looks by it is shut out at once. */
  endView: (id: string, view: string) => api<void>('DELETE', viewOf(id, view)),
  /** Goes in by a link. A 401 says that it is only for people with an account. */
  enter: (token: string, name: string) =>
    api<Shared>('POST', `${base}/shared`, { body: { token, name: name || undefined }, signsIn: true }),
};
