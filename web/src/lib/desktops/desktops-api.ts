import { api } from '../kernel/api';
import type { NewSession, Options, Session } from './model';

export const base = '/api/vnc';
/** The address of one session, or of something of it. */
export const of = (id: string, what = '') => `${base}/sessions/${encodeURIComponent(id)}${what}`;

export interface MeasuresAnswer {
  step_seconds: number;
  /** Epoch seconds, share of one core in percent, bytes. */
  points: [number, number | null, number | null][];
}

export interface NativeDoor {
  host: string;
  port: number;
  password: string;
  fingerprint: string;
  /** PEM. */
  certificate: string;
  expires_at: string;
}

export const desktopsApi = {
  list: (everybody: boolean) => api<Session[]>('GET', `${base}/sessions?ended=true${everybody ? '&all=true' : ''}`),
  options: () => api<Options>('GET', `${base}/options`),
  /** One session, or a list when more than one was asked for. */
  create: (wish: NewSession) => api<Session | Session[]>('POST', `${base}/sessions`, { body: wish }),
  get: (id: string) => api<Session>('GET', of(id)),
  describe: (id: string, said: { name?: string; notes?: string }) => api<Session>('PATCH', of(id), { body: said }),
  /** Ends a running session (and tells how it is now); forgets one that is over (and tells nothing). */
  end: (id: string) => api<Session | undefined>('DELETE', of(id)),
  extend: (id: string, seconds: number) => api<Session>('POST', of(id, '/extend'), { body: { seconds } }),
  keep: (id: string) => api<Session>('POST', of(id, '/keep')),
  repair: (id: string) => api<{ did: string[] }>('POST', of(id, '/repair')),
  native: (id: string) => api<NativeDoor>('POST', of(id, '/native')),
  measures: (id: string) => api<MeasuresAnswer>('GET', of(id, '/measures')),
  log: (id: string) => api<string>('GET', of(id, '/log'), { plain: true }),
  pictureUrl: (id: string, width: number) => of(id, `/picture?width=${width}`),
  screenUrl: (id: string) => `${location.origin.replace(/^http/, 'ws')}/vncproxy/${encodeURIComponent(id)}`,
};
