import { api } from '../kernel/api';
import type { AuditEntry, Me, Person, Role, SignIn, Token } from './model';

const base = '/api/identity';

export const identityApi = {
  me: () => api<Me>('GET', `${base}/me`, { signsIn: true }),
  signIn: (name: string, password: string) =>
    api<Me>('POST', `${base}/sign-in`, { body: { name, password }, signsIn: true }),
  redeem: (token: string) => api<Me>('POST', `${base}/links/redeem`, { body: { token }, signsIn: true }),
  signOut: () => api<void>('POST', `${base}/sign-out`),
  signOutEverywhere: () => api<void>('POST', `${base}/sign-out-everywhere`),
  setPassword: (current: string | null, password: string) =>
    api<void>('PUT', `${base}/password`, { body: { current_password: current, new_password: password } }),
  change: (change: { display_name?: string; language?: string | null }) =>
    api<Person>('PATCH', `${base}/me`, { body: change, outlives: true }),

  signIns: () => api<SignIn[]>('GET', `${base}/sign-ins`),
  endSignIn: (id: string) => api<void>('DELETE', `${base}/sign-ins/${encodeURIComponent(id)}`),
  tokens: () => api<Token[]>('GET', `${base}/tokens`),
  createToken: (name: string, days: number | null) =>
    api<Token & { secret: string }>('POST', `${base}/tokens`, { body: { name, expires_in_days: days } }),
  revokeToken: (id: string) => api<void>('DELETE', `${base}/tokens/${encodeURIComponent(id)}`),

  people: () => api<Person[]>('GET', `${base}/people`),
  addPerson: (person: { name: string; display_name: string; roles: Role[]; account: string | null }) =>
    api<{ person: Person; link: string }>('POST', `${base}/people`, { body: person }),
  changePerson: (
    id: string,
    change: { display_name?: string; roles?: Role[]; account?: string | null; disabled?: boolean },
  ) => api<Person>('PATCH', `${base}/people/${encodeURIComponent(id)}`, { body: change }),
  resetPassword: (id: string) =>
    api<{ link: string }>('POST', `${base}/people/${encodeURIComponent(id)}/reset-password`),
  audit: (limit: number, before?: AuditEntry['id']) =>
    api<AuditEntry[]>('GET', `${base}/audit?limit=${limit}${before === undefined ? '' : `&before=${before}`}`),
};
