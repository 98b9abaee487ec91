import { api } from '../kernel/api';
import type { NewSession, Options, Session } from './model';

const base = '/api/vnc';
const one = (id: string) => `${base}/sessions/${encodeURIComponent(id)}`;

export const desktopsApi = {
  list: (everybody: boolean) => api<Session[]>('GET', `${base}/sessions?ended=true${everybody ? '&all=true' : ''}`),
  options: () => api<Options>('GET', `${base}/options`),
  create: (wish: NewSession) => api<Session>('POST', `${base}/sessions`, { body: wish }),
  get: (id: string) => api<Session>('GET', one(id)),
  rename: (id: string, name: string) => api<Session>('PATCH', one(id), { body: { name } }),
  /** Ends a running session (and tells how it is now); forgets one that is over (and tells nothing). */
  end: (id: string) => api<Session | undefined>('DELETE', one(id)),
  log: (id: string) => api<string>('GET', `${one(id)}/log`, { plain: true }),
  screenUrl: (id: string) => `${location.origin.replace(/^http/, 'ws')}/vncproxy/${encodeURIComponent(id)}`,
};
