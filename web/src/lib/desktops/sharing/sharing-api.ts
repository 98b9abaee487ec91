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

/** What somebody who has a link is told of the desktop. */
export interface Shared {
  session: {
    id: string;
    name: string;
    owner: string | { name: string };
    state: SessionState;
    width: number;
    height: number;
  };
  mode: ShareMode;
  expires_at: string;
}

export const sharingApi = {
  list: (id: string) => api<Share[]>('GET', of(id, '/shares')),
  make: (id: string, wish: NewShare) => api<Share & { link: string }>('POST', of(id, '/shares'), { body: wish }),
  revoke: (id: string, share: string) => api<void>('DELETE', of(id, `/shares/${encodeURIComponent(share)}`)),
  /** Goes in by a link. A 401 says that it is only for people with an account. */
  enter: (token: string, name: string) =>
    api<Shared>('POST', `${base}/shared`, { body: { token, name: name || undefined }, signsIn: true }),
};
