import { api } from '../../kernel/api';
import { base, of } from '../desktops-api';
import type { Notice, Session } from '../model';
import type { Preset } from './preset';

export interface Limits {
  sessions_per_person: number | null;
  sessions_of_site: number | null;
  people: { name: string; sessions: number }[];
  /** What counts for each person where nothing else is said. */
  default_sessions_per_person?: number;
}

export interface UsageRow {
  person: string;
  account: string;
  preset: string;
  launcher: string;
  sessions: number;
  hours: number;
  cpu_hours: number;
  gpu_hours: number;
}

export interface Partition {
  name: string;
  state: string;
  nodes: number;
  idle: number;
  longest_seconds: number | null;
  default: boolean;
}

/** What is known of the cluster; a site without one has no scheduler. */
export interface Cluster {
  scheduler: 'slurm' | null;
  version: string | null;
  answers: boolean;
  since: string | null;
  partitions: Partition[];
  qos: string[];
  accounts: string[];
  reservations: string[];
}

const one = (id: string) => `${base}/presets/${encodeURIComponent(id)}`;
const range = (from: string, to: string) => `?from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`;

export const operatorsApi = {
  end: (id: string, message: string) =>
    api<Session>('POST', of(id, '/end'), { body: { message: message || undefined } }),
  presets: () => api<Preset[]>('GET', `${base}/presets?all=true`),
  addPreset: (preset: Preset) => api<Preset>('POST', `${base}/presets`, { body: preset }),
  changePreset: (preset: Preset) => api<Preset>('PUT', one(preset.id), { body: preset }),
  removePreset: (id: string) => api<void>('DELETE', one(id)),
  cluster: () => api<Cluster>('GET', `${base}/cluster`),
  limits: () => api<Limits>('GET', `${base}/limits`),
  setLimits: (limits: Limits) => api<Limits>('PUT', `${base}/limits`, { body: limits }),
  notice: () => api<Notice | null>('GET', `${base}/notice`),
  /** Without a text it is taken away. */
  setNotice: (notice: Notice) => api<Notice | null>('PUT', `${base}/notice`, { body: notice }),
  usage: (from: string, to: string) => api<UsageRow[]>('GET', `${base}/usage${range(from, to)}`),
  usageCsv: (from: string, to: string) => `${base}/usage.csv${range(from, to)}`,
};
