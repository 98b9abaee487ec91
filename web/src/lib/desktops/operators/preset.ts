/** A preset as operators edit it. Pure. */
import type { PresetOffer } from '../model';

export interface Preset extends PresetOffer {
  qos: string;
  charge: string;
  features: string;
  reservation: string;
  image: string;
  requeue: boolean;
  roles: string[];
  people: string[];
  enabled: boolean;
  position: number;
  pool_size: number;
  /** "08:30", or "" for the whole day. */
  pool_from: string;
  pool_to: string;
  /** 0 is Monday; none: every day. */
  pool_days: number[];
  pool_expiry_seconds: number;
  idle_cpu_percent: number;
  version: number;
  /** From the settings, while operators have made none. */
  built_in?: boolean;
  /** What of it the cluster does not have. */
  warnings?: string[];
}

export const blank: Preset = {
  id: '',
  name: '',
  description: '',
  launcher: 'local',
  width: 1440,
  height: 900,
  time_limit_seconds: 8 * 3600,
  longest_time_limit_seconds: 24 * 3600,
  cpus: null,
  memory_bytes: null,
  gpus: '',
  partition: '',
  qos: '',
  charge: '',
  features: '',
  reservation: '',
  image: '',
  requeue: false,
  roles: [],
  people: [],
  enabled: true,
  position: 0,
  pool_size: 0,
  pool_from: '',
  pool_to: '',
  pool_days: [],
  pool_expiry_seconds: 4 * 3600,
  idle_stop_seconds: 0,
  idle_cpu_percent: 5,
  native: false,
  version: 1,
};

/** What a number field holds while somebody types in it: empty is null. */
type Number_ = number | null;

/** The form's values, in the units that people type. */
export interface PresetForm extends Omit<Preset, 'cpus' | 'people'> {
  cpus: Number_;
  memory: Number_;
  hours: Number_;
  longest: Number_;
  idleMinutes: Number_;
  poolHours: Number_;
  people: string;
}

const gigabyte = 1e9;

export function formOf(preset: Preset): PresetForm {
  return {
    ...preset,
    roles: [...preset.roles],
    pool_days: [...preset.pool_days],
    memory: preset.memory_bytes === null ? null : round(preset.memory_bytes / gigabyte),
    hours: round(preset.time_limit_seconds / 3600),
    longest: round(preset.longest_time_limit_seconds / 3600),
    idleMinutes: round(preset.idle_stop_seconds / 60),
    poolHours: round(preset.pool_expiry_seconds / 3600),
    people: preset.people.join(', '),
  };
}

export function presetOf(form: PresetForm): Preset {
  const { memory, hours, longest, idleMinutes, poolHours, people, ...rest } = form;
  const local = rest.launcher === 'local';
  return {
    ...rest,
    name: rest.name.trim(),
    description: rest.description.trim(),
    time_limit_seconds: Math.round((hours ?? 0) * 3600),
    longest_time_limit_seconds: Math.round((longest ?? 0) * 3600),
    memory_bytes: memory ? Math.round(memory * gigabyte) : null,
    cpus: rest.cpus || null,
    // What only a cluster gives is left out where there is none, rather than refused.
    gpus: local ? '' : rest.gpus.trim(),
    partition: local ? '' : rest.partition.trim(),
    qos: local ? '' : rest.qos.trim(),
    charge: local ? '' : rest.charge.trim(),
    features: local ? '' : rest.features.trim(),
    reservation: local ? '' : rest.reservation.trim(),
    idle_stop_seconds: Math.round((idleMinutes ?? 0) * 60),
    idle_cpu_percent: rest.idle_cpu_percent ?? 0,
    pool_size: rest.pool_size ?? 0,
    pool_days: [...rest.pool_days].sort(),
    pool_expiry_seconds: Math.round((poolHours ?? 0) * 3600),
    people: people.split(/[\s,]+/).filter(Boolean),
  };
}

/** The same preset as a new one. */
export function copyOf(preset: Preset, name: string): Preset {
  return { ...preset, id: '', version: 1, name, built_in: false, warnings: [] };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
