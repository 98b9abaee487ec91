/** What the portal tells of machines, and what follows from it. Pure. */
export const bootOrders = ['cdrom_hd', 'hd', 'cdrom', 'hd_cdrom'] as const;
export type BootOrder = (typeof bootOrders)[number];
/** `other`: one that libvirt has and we do not. */
export type ShownOrder = BootOrder | 'other';
export const installationStatuses = ['NotInstalled', 'Installing', 'Installed', 'InstallationFailed'] as const;
export type InstallationStatus = (typeof installationStatuses)[number];
export type Firmware = 'bios' | 'uefi';
export type BootDevice = 'hd' | 'cdrom' | 'network';
export type Act = 'start' | 'shut_down' | 'reset' | 'force_off' | 'pause' | 'resume' | 'restart';

export const machineStates = [
  'creating',
  'shut_off',
  'starting',
  'running',
  'paused',
  'stopping',
  'crashed',
  'failed',
  'unknown',
] as const;
export type MachineState = (typeof machineStates)[number];

export interface Failure {
  code: string;
  title: string;
  detail: string;
  hint: string;
}

/** A drive and what is in it; `iso` null: empty. */
export interface Medium {
  target: string;
  iso: string | null;
  path: string | null;
  /** The file is not there any more. */
  missing: boolean;
}

/** What the next start takes and the run does not have. */
export interface Pending {
  what: string;
  from: string | number | null;
  to: string | number | null;
}

export interface Suggestion {
  code: string;
  boot_order: BootOrder | null;
  target: string | null;
  iso: string | null;
  changed: string[];
  can_do: boolean;
}

export interface Operation {
  id: string;
  machine_id: string;
  kind: string;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  /** From 0 to 1; null: not known. */
  progress: number | null;
  stage: string;
  can_cancel: boolean;
  asked_by: string;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  result: Record<string, string | number | boolean | null>;
  failure: Failure | null;
}

/** Another person who may look at a machine (view), or also use it (operate). */
export interface Share {
  person_id: string;
  name: string;
  mode: 'view' | 'operate';
}

export interface Snapshot {
  name: string;
  title: string;
  created_at: string;
  /** The machine's when it was taken. */
  state: string;
  parent: string | null;
  current: boolean;
}

/** All disks of a machine as one moment had them. */
export interface Backup {
  id: string;
  machine_id: string;
  machine_name: string;
  created_at: string;
  size: number;
  verified_at: string | null;
  /** Made by itself, before another one was put over the machine. */
  safety: boolean;
  disks: number;
}

export const weekdays = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const;

/** When backups come by themselves; the hour is the site's. */
export interface Schedule {
  every: 'off' | 'daily' | 'weekly';
  hour: number;
  weekday: (typeof weekdays)[number];
}

/** What is in force for a machine. */
export interface BackupSchedule extends Schedule {
  /** By its owner's choice. */
  own: boolean;
  rule: 'choose' | 'force' | 'forbid';
  site: Schedule;
  time_zone: string;
  next_at: string | null;
  /** Why the last backup could not be made. */
  failure: Failure | null;
}

export interface ChosenSchedule extends Partial<Omit<Schedule, 'every'>> {
  every: Schedule['every'] | 'site';
}

/** What machines are made of: one's own, or one for everybody. */
export interface Template {
  id: string;
  name: string;
  own: boolean;
  everybody: boolean;
  host: string;
  cpus: number;
  memory_bytes: number;
  disk_size: number;
  firmware: Firmware;
  installation_status: InstallationStatus;
}

export interface Machine {
  id: string;
  name: string;
  notes: string;
  owner: { id: string; name: string };
  host: string;
  state: MachineState;
  /** What it was when it was last seen. */
  last_state: MachineState;
  unknown_since: string | null;
  installation_status: InstallationStatus;
  /** The kept one; a run that began earlier may have another. */
  boot_order: ShownOrder;
  /** null: it does not run. */
  current_boot_order: ShownOrder | null;
  /** What it really booted from. */
  current_boot_device: BootDevice | null;
  /** The order that the next start alone takes. */
  next_boot: { boot_order: BootOrder; why: 'installed' | 'asked' } | null;
  disk_path: string;
  disk_size: number;
  disk_used: number | null;
  current_media: Medium[];
  pending: Pending[];
  firmware: Firmware;
  cpus: number;
  memory_bytes: number;
  network: string;
  protected: boolean;
  /** It was there before this portal. */
  adopted: boolean;
  /** Others are made of it; it does not run. */
  template: boolean;
  /** A template of which everybody may make machines. */
  everybody: boolean;
  /** Its disk holds only the difference to a template's. */
  linked: boolean;
  cloned_from: string | null;
  shares: Share[];
  suggestions: Suggestion[];
  operation: Operation | null;
  /** So many operations wait behind that. */
  queued: number;
  failure: Failure | null;
  version: number;
  /** Counts edits alone; what a change was made from. */
  etag: string;
  created_at: string;
  started_at: string | null;
  agent: boolean;
  /** There is a screen to look at. */
  screenshot: boolean;
  /** When it is backed up by itself. */
  next_backup_at: string | null;
}

export interface Iso {
  /** What is sent to insert it. */
  path: string;
  name: string;
  folder: string;
  size: number;
  modified_at: string;
  label: string;
  /** The firmwares that can boot it. */
  boots: Firmware[];
  readable: boolean;
  used_by: { id: string; name: string }[];
  used_count: number;
  can_delete: boolean;
}

export interface UploadState {
  id: string;
  name: string;
  size: number;
  /** Where to go on. */
  offset: number;
  sha256: string;
  created_at: string;
}

export interface Disk {
  path: string;
  size: number;
  used: number | null;
  format: string;
  pool_free: number | null;
  /** It grew, and the system inside may have to extend its partition. */
  grow_hint: boolean;
  /** The guest agent can do that. */
  can_grow_inside: boolean;
}

/** A disk beside the one that a machine boots from. */
export interface FurtherDisk {
  id: string;
  name: string;
  size: number;
  /** What it takes in the pool; null: not known. */
  used: number | null;
  host: string;
  path: string;
  /** null: it is in no machine. */
  machine_id: string | null;
  created_at: string;
}

/** A machine of libvirt that is nobody's here yet. */
export interface Stranger {
  id: string;
  name: string;
  host: string;
  state: MachineState;
  cpus: number;
  memory_bytes: number;
  disk_path: string | null;
}

export interface Host {
  name: string;
  connected: boolean;
  down_since: string | null;
  problem: string;
  pool: { path: string; total: number; free: number } | null;
  machines: number;
}

export interface Range {
  least: number;
  most: number;
  default: number;
}

export interface Allowance {
  /** null: no limit. */
  most: number | null;
  used: number;
}

export interface BootPreset {
  id: string;
  name: string;
  boot_order: BootOrder;
  own: boolean;
}

export interface Options {
  hosts: Host[];
  networks: string[];
  firmwares: Firmware[];
  boot_orders: BootOrder[];
  default_boot_order: BootOrder;
  boot_presets: BootPreset[];
  cpus: Range;
  memory_bytes: Range;
  disk_bytes: Range;
  quota: { machines: Allowance; cpus: Allowance; memory_bytes: Allowance; disk_bytes: Allowance };
  largest_upload_bytes: number;
  missing: string[];
}

export interface NewMachine {
  name: string;
  notes?: string;
  cpus?: number;
  memory_bytes?: number;
  disk_bytes?: number;
  iso_path?: string;
  second_iso_path?: string;
  boot_order?: BootOrder;
  firmware?: Firmware;
  network?: string;
  host?: string;
  start?: boolean;
}

/** What is left out stays as it is. */
export interface NewHardware {
  cpus?: number;
  memory_bytes?: number;
  network?: string;
}

/** It has a run now: what is changed may have to wait for the next start. */
export function isOn(machine: Pick<Machine, 'state' | 'last_state'>): boolean {
  const state = machine.state === 'unknown' ? machine.last_state : machine.state;
  return ['starting', 'running', 'paused', 'stopping'].includes(state);
}

/** Whether its screen can be opened. */
export function hasScreen(machine: Pick<Machine, 'state' | 'screenshot'>): boolean {
  return machine.screenshot && ['starting', 'running', 'paused', 'stopping'].includes(machine.state);
}

/** What can be done with its power now, the likeliest first. */
export function powerActs(machine: Pick<Machine, 'state' | 'template'>): Act[] {
  if (machine.template) return [];
  switch (machine.state) {
    case 'shut_off':
    case 'crashed':
      return ['start'];
    case 'running':
      return ['shut_down', 'restart', 'pause', 'reset', 'force_off'];
    case 'paused':
      return ['resume', 'reset', 'force_off'];
    case 'starting':
    case 'stopping':
      return ['force_off'];
    default:
      return [];
  }
}

/** Work in it may be lost by this. */
export function isHard(act: Act): boolean {
  return act === 'reset' || act === 'force_off';
}

export function hasMedium(machine: Pick<Machine, 'current_media'>): boolean {
  return machine.current_media.some((medium) => medium.iso !== null);
}

/** Its next start would find nothing: it takes the CD alone, and its drives are empty. */
export function lacksMedium(machine: Pick<Machine, 'boot_order' | 'next_boot' | 'current_media'>): boolean {
  return (machine.next_boot?.boot_order ?? machine.boot_order) === 'cdrom' && !hasMedium(machine);
}

/** The order that boots the disk, and goes on to a CD only where the disk holds no system. */
export const diskFirst: BootOrder = 'hd_cdrom';

/** What waits for the next start: of its boot order, or of its hardware. */
export function pendingOf(machine: Pick<Machine, 'pending'>, part: 'boot' | 'hardware'): Pending[] {
  return machine.pending.filter((item) => (item.what === 'boot_order') === (part === 'boot'));
}

/** Changes when there may be something new to read of a machine; its deletion leaves nothing to read. */
export function workOf(machine: Pick<Machine, 'operation'>): string {
  return machine.operation && machine.operation.kind !== 'delete' ? machine.operation.id : '';
}

export function isAtWork(operation: Operation | null): operation is Operation {
  return operation !== null && (operation.state === 'queued' || operation.state === 'running');
}
