export const roles = ['admin', 'operator', 'teacher', 'student', 'member', 'monitor'] as const;
export type Role = (typeof roles)[number];

export interface Person {
  id: string;
  name: string;
  display_name: string;
  roles: Role[];
  account: string | null;
  language: string | null;
  disabled: boolean;
  created_at: string;
  last_sign_in_at: string | null;
}

export interface Site {
  name: string;
  mode: 'root' | 'user';
  /** The Unix user everything runs as, in mode user. */
  user: string | null;
  version: string;
  services: string[];
}

export type Permission =
  | 'desktops.use'
  | 'desktops.see_all'
  | 'desktops.manage'
  | 'machines.use'
  | 'machines.see_all'
  | 'machines.manage'
  | 'people.manage'
  | 'audit.read'
  | 'site.see';

export interface Me {
  person: Person;
  csrf_token: string;
  must_set_password: boolean;
  permissions: Permission[];
  site: Site;
}

export interface SignIn {
  id: string;
  created_at: string;
  last_seen_at: string;
  address: string | null;
  user_agent: string | null;
  current: boolean;
}

export interface Token {
  id: string;
  name: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

export interface AuditEntry {
  id: number | string;
  at: string;
  person_name: string | null;
  action: string;
  object: string | null;
  /** `done` or `refused`. */
  outcome: string;
  address: string | null;
  detail: unknown;
}

export const minimumPasswordLength = 10;

/** 0 too short, 1 weak ... 4 strong: length counts most, then how many different characters there are. A guide for
 * the person only; the server decides. */
export function passwordStrength(password: string): number {
  const letters = [...password];
  if (letters.length < minimumPasswordLength) return 0;
  const different = new Set(letters).size;
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/].filter((kind) => kind.test(password)).length;
  if (different < 5) return 1;
  const points = letters.length + different / 2 + kinds * 2;
  return points >= 30 ? 4 : points >= 23 ? 3 : points >= 17 ? 2 : 1;
}

/** "Firefox, Linux" out of a User-Agent; empty when it tells nothing. */
export function deviceName(userAgent: string | null): string {
  const agent = userAgent ?? '';
  const browser =
    /Edg\//.test(agent) ? 'Edge'
    : /Whale\//.test(agent) ? 'Whale'
    : /SamsungBrowser\//.test(agent) ? 'Samsung Internet'
    : /Firefox\//.test(agent) ? 'Firefox'
    : /Chrom(e|ium)\//.test(agent) ? 'Chrome'
    : /Safari\//.test(agent) ? 'Safari'
    : (/^[\w.-]+/.exec(agent)?.[0] ?? '');
  const system =
    /Android/.test(agent) ? 'Android'
    : /iPhone|iPad/.test(agent) ? 'iOS'
    : /Windows/.test(agent) ? 'Windows'
    : /Mac OS X/.test(agent) ? 'macOS'
    : /Linux|X11/.test(agent) ? 'Linux'
    : '';
  return [browser, system].filter(Boolean).join(', ');
}
